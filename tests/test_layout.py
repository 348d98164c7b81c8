"""The manifest's records: Python's dtypes and C's structs have the same offsets."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from awm_kit.kernel_build import KERNEL_C, find_compiler
from awm_kit.quant import layout
from awm_kit.schema import (
    CONTROLLER_BYTES,
    FRAME,
    FRAME_BYTES,
    GLOBAL_BYTES,
    PLAYER,
    PLAYER_BYTES,
)

RECORDS = {
    "awm_header": layout.HEADER,
    "awm_shard": layout.SHARD,
    "awm_feature": layout.FEATURE,
    "awm_head": layout.HEAD,
    "awm_layer": layout.LAYER,
    "awm_ssm_head": layout.SSM_HEAD,
    "awm_op": layout.OP,
}
CONSTANTS = {
    "AWM_VERSION": layout.VERSION,
    "AWM_VERSION_NO_MIRROR": layout.VERSION_NO_MIRROR,
    "AWM_FORMAT_I8": layout.FORMAT_I8,
    "AWM_FORMAT_N4": layout.FORMAT_N4,
    "AWM_WEIGHT_BIAS": layout.WEIGHT_BIAS,
    "AWM_LUT_POINTS": layout.LUT_POINTS,
    "AWM_MAX_DIM": layout.MAX_DIM,
    "AWM_MAX_D_STATE": layout.MAX_D_STATE,
    "AWM_MAX_LAYERS": layout.MAX_LAYERS,
    "AWM_MAX_LOGITS": layout.MAX_LOGITS,
    "AWM_MAX_SHARDS": layout.MAX_SHARDS,
    "AWM_NO_SLOT": layout.NO_SLOT,
    "AWM_NO_ROW": layout.NO_ROW,
    "AWM_NO_END": layout.NO_END,
    "AWM_NORM_LIMIT": layout.NORM_LIMIT,
    "AWM_RESIDUAL_MAX": layout.RESIDUAL_MAX,
    "AWM_FRAME_BYTES": FRAME_BYTES,
    "AWM_GLOBAL_BYTES": GLOBAL_BYTES,
    "AWM_PLAYER_BYTES": PLAYER_BYTES,
    "AWM_CONTROLLER_BYTES": CONTROLLER_BYTES,
    **{f"AWM_{code.name}": code.value for code in layout.TypeCode},
    **{f"AWM_{code.name}": code.value for code in layout.SlotCode},
    **{f"AWM_{code.name}": code.value for code in layout.FeatureMode},
    **{f"AWM_{code.name}": code.value for code in layout.HeadKind},
    **{f"AWM_KIND_{code.name}": code.value for code in layout.ClassKind},
    **{f"AWM_{code.name}": code.value for code in layout.OpKind},
    **{f"AWM_{code.name}": code.value for code in layout.MatvecOut},
}


@pytest.fixture(scope="module")
def c_numbers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Sizes, offsets and constants as the C compiler sees them."""
    lines = []
    for record, dtype in RECORDS.items():
        lines.append(f'P("{record}", sizeof({record}));')
        lines += [f'P("{record}.{name}", offsetof({record}, {name}));' for name in dtype.names or ()]
    lines += [f'P("{name}", {name});' for name in CONSTANTS]
    program = (
        '#include <stdio.h>\n#include "awm_ops.h"\n'
        '#define P(name, value) printf("%s %llu\\n", name, (unsigned long long)(value))\n'
        "int main(void) {\n" + "\n".join(lines) + "\nreturn 0; }\n"
    )
    folder = tmp_path_factory.mktemp("layout")
    source, out = folder / "layout.c", folder / "layout"
    source.write_text(program)
    subprocess.run([*find_compiler(), f"-I{KERNEL_C}", "-o", str(out), str(source)], check=True)
    printed = subprocess.run([str(out)], capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in (line.split() for line in printed.splitlines())}


@pytest.mark.parametrize("record", RECORDS)
def test_records_have_the_same_offsets_in_c(record: str, c_numbers: dict[str, int]) -> None:
    dtype = RECORDS[record]
    fields = dtype.fields or {}
    expected = {record: dtype.itemsize, **{f"{record}.{name}": int(f[1]) for name, f in fields.items()}}
    assert {name: c_numbers[name] for name in expected} == expected


def test_constants_are_the_same_in_c(c_numbers: dict[str, int]) -> None:
    assert {name: c_numbers[name] for name in CONSTANTS} == CONSTANTS


def _misaligned(dtype: np.dtype) -> list[str]:  # type: ignore[type-arg]
    return [
        name
        for name, (field, offset, *_) in (dtype.fields or {}).items()
        if field.base.kind in "iu" and offset % field.base.itemsize
    ]


@pytest.mark.parametrize("dtype", [*RECORDS.values(), FRAME, PLAYER], ids=[*RECORDS, "frame", "player"])
def test_every_number_is_aligned(dtype: np.dtype) -> None:  # type: ignore[type-arg]
    """C reads records in place; SBF and sanitizers would see a misaligned one."""
    assert _misaligned(dtype) == []


def test_structs_declare_no_more_fields_than_python_knows() -> None:
    """A field that only C has would be one that nobody writes."""
    text = (Path(KERNEL_C) / "awm_format.h").read_text()
    for record, dtype in RECORDS.items():
        body = text.split(f"typedef struct {record} {{")[1].split("}")[0]
        names = body.replace("\n", " ").replace(";", ",").split(",")
        declared = {name.split()[-1].split("[")[0] for name in names if name.strip()}
        assert declared == set(dtype.names or ())

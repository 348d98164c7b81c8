"""Imports inside awm_kit run one way only: a module imports what stands before it in ORDER."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ORDER = (
    *("errors", "files", "wording", "machine", "schema", "feature_table", "action_states", "characters"),
    *("data", "model", "quant", "worlds"),
    *("kernel_build", "kernel_library", "kernel", "fidelity"),
    *("impossible", "impossible_carts", "soak", "game_physics", "probe_report", "probe"),
    *("report_page", "report"),
    *("chain", "play"),
    *("bench", "doctor", "cli"),
)
PACKAGE = Path(__file__).resolve().parent.parent / "awm_kit"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What importing a part may not load: packages of later parts, and torch where nothing is trained
# (quantised worlds are played, deployed and verified without it).
WIDGETS = ("ipycanvas", "anywidget", "IPython")
FORBIDDEN = {
    "awm_kit": ("torch", "solders", "matplotlib", *WIDGETS),
    "awm_kit.schema": ("torch", "solders", "matplotlib", *WIDGETS),
    "awm_kit.data": ("torch", "solders", "matplotlib", *WIDGETS),
    "awm_kit.model": ("solders", *WIDGETS),
    "awm_kit.quant": ("torch", "solders", "matplotlib", *WIDGETS),
    "awm_kit.worlds": ("torch", "solders", "matplotlib", *WIDGETS),
    "awm_kit.kernel": ("torch", "solders", "matplotlib", *WIDGETS),
    "awm_kit.chain": ("torch", "matplotlib", *WIDGETS),
    "awm_kit.cli": ("torch", "matplotlib", "ipycanvas", "anywidget"),
}


def dotted(path: Path) -> str:
    """Return the import name of a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(name: str) -> str | None:
    """Return the entry of ORDER that a dotted name inside awm_kit belongs to."""
    pieces = name.split(".")
    return pieces[1] if len(pieces) > 1 else None


def imported(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Yield line and absolute name of every import of awm_kit, also those inside functions."""
    here = dotted(path).split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    for node in ast.walk(ast.parse(source, str(path))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *filter(None, [node.module])])
            names = [f"{stem}.{alias.name}" if stem == "awm_kit" else stem for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "awm_kit")


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_run_one_way(path: Path) -> None:
    own = part_of(dotted(path))
    if own is None:  # awm_kit/__init__.py offers names of any part, lazily or not
        return
    assert own in ORDER, f"{dotted(path)} is in no part of {ORDER}"
    for line, name in imported(path, path.read_text()):
        other = part_of(name)
        if other in ORDER:
            assert ORDER.index(other) <= ORDER.index(own), f"{path.name}:{line} imports {name}"


@pytest.mark.parametrize("module", FORBIDDEN)
def test_part_needs_no_package_of_a_later_part(module: str) -> None:
    probe = f"import sys, {module}; print(*(m for m in {FORBIDDEN[module]!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], f"importing {module} also imports {done.stdout}"


def test_every_form_of_import_is_seen() -> None:
    source = (
        "from ..play import loop\ndef f():\n  from awm_kit import chain\nimport os, awm_kit.quant.layout\n"
    )
    names = [name for _, name in imported(PACKAGE / "data" / "module.py", source)]
    assert sorted(names) == ["awm_kit.chain", "awm_kit.play", "awm_kit.quant.layout"]

"""What the four notebooks must be on disk; their cells are run by nbval in the same pytest run.

`make test` collects `notebooks/` with ``--nbval``: each code cell is one test and its output is compared
with the committed one, except in cells that begin with ``# NBVAL_IGNORE_OUTPUT``.
"""

from __future__ import annotations

import ast
import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

NAMES = ("01_quantize.ipynb", "02_deploy.ipynb", "03_play.ipynb", "04_fork.ipynb")
MACHINE = re.compile(r"(?<![\w.])/(work|root|tmp|home/\w+|Users/\w+|opt)/|0x[0-9a-f]{9,}")
MAX_LINES = 12
MAX_CELLS = 40

pytestmark = pytest.mark.parametrize("name", NAMES)


def load(repo_root: Path, name: str) -> dict[str, Any]:
    """Return a notebook's JSON."""
    notebook: dict[str, Any] = json.loads((repo_root / "notebooks" / name).read_text())
    return notebook


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the code cells that are not empty."""
    return [
        cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()
    ]


def texts(output: dict[str, Any]) -> str:
    """Return everything in an output that a reader reads."""
    bundle = output.get("data", {})
    shown = ["".join(part) for kind, part in bundle.items() if kind.startswith("text/")]
    return "\n".join([*shown, "".join(output.get("text", []))])


def test_notebook_runs_in_this_pytest_run(request: pytest.FixtureRequest, repo_root: Path, name: str) -> None:
    assert request.config.getoption("--nbval"), "pyproject.toml must keep --nbval in addopts"
    assert "notebooks" in request.config.getini("testpaths")
    assert (repo_root / "notebooks" / name).is_file()


def test_committed_outputs_come_from_one_clean_run(repo_root: Path, name: str) -> None:
    cells = code_cells(load(repo_root, name))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell["outputs"]) for cell in cells) >= len(cells) // 2
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert "error" not in kinds


def test_outputs_show_a_picture(repo_root: Path, name: str) -> None:
    bundles = [
        output.get("data", {}) for cell in code_cells(load(repo_root, name)) for output in cell["outputs"]
    ]
    pictures = [bundle[kind] for bundle in bundles for kind in ("image/png", "image/gif") if kind in bundle]
    if name == "02_deploy.ipynb":  # its results are figures and hashes
        return
    assert pictures, "readers on GitHub see no picture"
    assert all(len(base64.b64decode("".join(picture))) > 1000 for picture in pictures)


def test_what_is_drawn_is_shown(repo_root: Path, name: str) -> None:
    for cell in code_cells(load(repo_root, name)):
        source = "".join(cell["source"])
        if re.search(r"\bplt\.show\(|\bplot_\w+\(|\.plot\(\)", source):
            assert any("image/png" in output.get("data", {}) for output in cell["outputs"]), source


def test_nothing_names_a_machine(repo_root: Path, name: str) -> None:
    notebook = load(repo_root, name)
    shown = [texts(output) for cell in code_cells(notebook) for output in cell["outputs"]]
    lines = "\n".join(["".join(cell["source"]) for cell in notebook["cells"]] + shown).splitlines()
    assert [line for line in lines if MACHINE.search(line)] == []
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_cells_drive_the_library_and_hold_no_logic(repo_root: Path, name: str) -> None:
    cells = code_cells(load(repo_root, name))
    assert 5 <= len(cells) <= MAX_CELLS
    for cell in cells:
        source = "".join(cell["source"])
        kinds = {type(node) for node in ast.walk(ast.parse(re.sub(r"(?m)^\s*[%!].*$", "", source)))}
        assert not kinds & {ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.While}, source
        lines = [line for line in source.splitlines() if line and not line.startswith("#")]
        assert len(lines) <= MAX_LINES, source


def test_prose_leads_every_step(repo_root: Path, name: str) -> None:
    cells = load(repo_root, name)["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert cells[-1]["cell_type"] == "markdown"
    runs = "".join("c" if cell["cell_type"] == "code" else "m" for cell in cells)
    assert "cccc" not in runs, "four code cells in a row with no word between them"


def test_few_cells_are_let_off_the_comparison(repo_root: Path, name: str) -> None:
    cells = code_cells(load(repo_root, name))
    marks = [
        cell for cell in cells if re.search(r"NBVAL_(IGNORE_OUTPUT|SKIP|RAISES)", "".join(cell["source"]))
    ]
    assert len(marks) <= len(cells) * 0.6
    assert not [cell for cell in marks if re.search(r"NBVAL_(SKIP|RAISES)", "".join(cell["source"]))]

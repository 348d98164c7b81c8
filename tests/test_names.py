"""What notebooks, documents and docstrings name exists: a rename that forgets one fails here, in seconds."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from awm_kit.cli import app

ROOT = Path(__file__).resolve().parent.parent
DOTTED = re.compile(r"(?<![\w/.-])awm_kit(?:\.\w+)+(?![\w/-])")
COMMAND = re.compile(r"^(?: {4,}|\$ )?awm ([a-z][^#\n]*)|`awm ([a-z][^`\n]*)`", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
PYTHON_BLOCK = re.compile(r"^```py(?:thon)?\n(.*?)^```", re.DOTALL | re.MULTILINE)


def tracked(*endings: str) -> list[Path]:
    """Files of the checkout with these endings."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    paths = (ROOT / name for name in listed.stdout.decode().split("\0"))
    return sorted(path for path in paths if path.suffix in endings and path.is_file())


def cells(path: Path, kind: str) -> list[str]:
    """The sources of a notebook's cells."""
    found = json.loads(path.read_text())["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def code_of(path: Path) -> str:
    """The Python in a notebook or a document."""
    if path.suffix == ".ipynb":
        lines = "\n".join(cells(path, "code")).splitlines()
        return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
    return "\n".join(PYTHON_BLOCK.findall(path.read_text()))


def text_of(path: Path) -> str:
    """What a file says, without the outputs of a notebook."""
    return "\n".join(cells(path, "markdown")) if path.suffix == ".ipynb" else path.read_text()


def used(code: str) -> Iterator[str]:
    """Dotted names that code imports from awm_kit, and those that it takes from modules that it imported."""
    tree = ast.parse(code)
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "awm_kit")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "awm_kit":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                modules[alias.asname or alias.name] = name
                yield name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            home = modules[node.value.id]
            if is_module(home):
                yield f"{home}.{node.attr}"


@cache
def is_module(name: str) -> bool:
    """Whether a dotted name is a module's, one that lacks an optional package too."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        return not name.startswith(error.name or name)
    return True


@cache
def exists(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    pieces = name.split(".")
    depth = next(n for n in range(len(pieces), 0, -1) if is_module(".".join(pieces[:n])))
    if depth == len(pieces):
        return True
    thing: object = importlib.import_module(".".join(pieces[:depth]))
    for piece in pieces[depth:]:
        # Dataclasses have fields without defaults in their annotations only.
        if not hasattr(thing, piece) and piece not in getattr(thing, "__annotations__", {}):
            return False
        thing = getattr(thing, piece, None)
    return True


@pytest.mark.parametrize("path", tracked(".ipynb", ".md"), ids=lambda p: str(p.relative_to(ROOT)))
def test_code_in_notebooks_and_documents_uses_names_that_exist(path: Path) -> None:
    missing = [name for name in used(code_of(path)) if not exists(name)]
    assert missing == []


def test_names_that_text_mentions_exist() -> None:
    missing = {
        (str(path.relative_to(ROOT)), name)
        for path in tracked(".ipynb", ".md", ".py", ".toml", ".sh", ".c", ".h", ".js")
        if path != Path(__file__)
        for name in DOTTED.findall(text_of(path))
        if not (name.endswith(".json") or exists(name))
    }
    assert missing == set()


def test_a_name_that_is_gone_is_seen() -> None:
    code = "from awm_kit import worlds\nfrom awm_kit.worlds import FOLDER\nworlds.shipped()\nworlds.gone"
    missing = [name for name in used(code) if not exists(name)]
    assert missing == ["awm_kit.worlds.FOLDER", "awm_kit.worlds.gone"]
    assert exists("awm_kit.play.Lobby") and exists("awm_kit.quant.cartridge.Cartridge.save")


def commands(text: str) -> list[list[str]]:
    """The words after ``awm`` in lines and code spans, one list a command."""
    found = ("".join(match) for match in COMMAND.findall(text))
    parts = (part.strip().removeprefix("awm ") for line in found for part in line.split(";"))
    return [part.split() for part in parts if part and part[0].islower()]


def unknown(words: list[str]) -> list[str]:
    """What of a command the command line does not know: its verb, or its options."""
    command = typer.main.get_command(app)
    while isinstance(command, TyperGroup):
        names = words.pop(0).split("|")
        if missing := [name for name in names if name not in command.commands]:
            return missing
        if len(names) > 1 or not words:
            return []
        command = command.commands[names[0]]
    known = {"--help"}.union(*((*option.opts, *option.secondary_opts) for option in command.params))
    return [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]


@pytest.mark.parametrize("path", tracked(".ipynb", ".md"), ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_and_links_in_documents_are_right(path: Path) -> None:
    text = text_of(path)
    wrong = {" ".join(words): missing for words in commands(text) if (missing := unknown(words[:]))}
    assert wrong == {}
    assert [link for link in LINK.findall(text) if not (path.parent / link).exists()] == []


def test_a_command_that_is_gone_is_seen() -> None:
    text = "awm host x --seat 1; awm jion ID\nsee `awm bench cu --json`"
    assert [unknown(words) for words in commands(text)] == [["--seat"], ["jion"], []]

"""The application object, how errors end a command, and the options that several verbs share."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections import Counter
from importlib.metadata import requires, version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from awm_kit.errors import AwmError
from awm_kit.files import check_folder, check_writable

#: What a user can put right: it ends as one line and exit code 2; anything else is a bug and shows its trace.
EXPECTED = (AwmError, ValueError, OSError, ModuleNotFoundError)
# A package that an extra brings, as the installed metadata has it.
_EXTRA = re.compile(r"""([\w.-]+)[^;]*; extra == ['"](\w+)['"]""")


class Verbs(TyperGroup):
    """A group in the order of the work, whose expected errors are one line on stderr."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the verbs in the order in which one uses them."""
        return [name for name in ORDER if name in self.commands]

    def invoke(self, ctx: Any) -> Any:
        """Run a verb; exit code 2 for an expected error."""
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            typer.echo(f"awm: {_message(error)}", err=True)
            raise typer.Exit(2) from error


ORDER = (
    "train",
    "eval",
    "probe",
    "soak",
    "report",
    "quantize",
    "deploy",
    "worlds",
    "play",
    "host",
    "join",
    "export",
    "film",
    "clone",
    "fork",
    "verify",
    "publish",
    "leaderboard",
    "history",
    "retire",
    "localnet",
    "bench",
    "doctor",
)

app = typer.Typer(
    cls=Verbs,
    help="Small world models that learned a game from replays: train, quantise, put on chain, play.",
    no_args_is_help=True,
    rich_markup_mode=None,  # importing rich would double the time that --help takes
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]
Progress = Annotated[bool, typer.Option("--progress/--no-progress", help="Show progress bars (on stderr).")]
Replays = Annotated[Path | None, typer.Option("--replays", help="Folder of .slp or .npz replays.")]
Seeds = Annotated[
    str | None,
    typer.Option("--seeds", metavar="A:B", help="Games of the world's own teacher, seeds A to B - 1."),
]


def to_write(path: Path | None) -> Path | None:
    """A file named on the command line, refused before the work that would fill it is done."""
    if path is not None:
        check_writable(path)
    return path


def to_fill(path: Path | None) -> Path | None:
    """A folder named on the command line, refused before the work that would fill it is done."""
    if path is not None:
        check_folder(path)
    return path


def to_name(name: str | None) -> str | None:
    """A world's name, refused before the work on what is to be called so."""
    from awm_kit.quant.layout import HEADER

    most = HEADER["name"].itemsize
    if name is not None and not 0 < len(name.encode()) <= most:
        raise ValueError(f"expected a name of 1 to {most} bytes (got {name!r})")
    return name


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"awm-kit {version('awm-kit')}")
        raise typer.Exit


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Small world models that learned a game from replays: train, quantise, put on chain, play."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("awm_kit").setLevel(logging.INFO)


def show(result: dict[str, Any] | list[Any], text: object, as_json: bool) -> None:
    """Print ``result`` as one line of JSON, or ``text`` for people."""
    typer.echo(json.dumps(result) if as_json else str(text))


def note(text: str) -> None:
    """Say something on stderr, where it disturbs no script."""
    print(text, file=sys.stderr)


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, ModuleNotFoundError) and (extra := _extra_with(error.name or "")):
        return f"{error.name} is not installed: pip install 'awm-kit[{extra}]'"
    return str(error) or type(error).__name__


def _extra_with(module: str) -> str:
    """The smallest extra of this package that brings a module; empty if none is known to."""
    wanted = module.partition(".")[0].replace("_", "-").lower()
    found = [_EXTRA.fullmatch(line) for line in requires("awm-kit") or ()]
    extras = [match.groups() for match in found if match]
    sizes = Counter(extra for _, extra in extras)
    return min((extra for name, extra in extras if name == wanted), key=sizes.__getitem__, default="")

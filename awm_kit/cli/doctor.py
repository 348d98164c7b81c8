"""The verb that looks at the machine."""

from __future__ import annotations

import typer

from awm_kit.cli.app import Json, app, show


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check that everything needed is there and works.

    Exit code 1 if something essential is missing.
    """
    from awm_kit.doctor import diagnose

    diagnosis = diagnose()
    show(diagnosis.to_json(), diagnosis, as_json)
    if not diagnosis.ok:
        raise typer.Exit(1)

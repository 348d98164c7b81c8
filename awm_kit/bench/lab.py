"""A real JupyterLab on a free port and a page in headless Chromium, for benchmarks and browser tests.

Needs Playwright and a Chromium, which players do not.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

TOKEN = "awm"
CHROMIUM_ARGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
#: What the page counts: see the file.
PROBE = Path(__file__).with_name("lab_probe.js").read_text()
# In a checkout the configuration that the package would install, and the package itself.
_CHECKOUT = Path(__file__).resolve().parents[2]
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str:
    """The path of a Chromium.

    Raises
    ------
    FileNotFoundError
        If none is on the ``PATH``.
    """
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        raise FileNotFoundError(f"expected one of {_NAMES} on the PATH (scripts/setup-system.sh chromium)")
    return found


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """Write a notebook of code cells."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    code: dict[str, Any] = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
    listed = [{**code, "id": f"cell-{i}", "source": source} for i, source in enumerate(cells)]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": listed}
    path.write_text(json.dumps(notebook), encoding="utf-8")


@contextmanager
def jupyter_lab(folder: Path, nodelay: bool = True) -> Iterator[str]:
    """Serve ``folder``, with the shipped configuration unless ``nodelay`` is false; yields the base URL."""
    own = folder / ".config" / "jupyter_server_config.d"
    own.mkdir(parents=True, exist_ok=True)
    if not nodelay:
        text = '{"ServerApp": {"jpserver_extensions": {"awm_kit.play.nodelay": false}}}'
        (own / "zz_off.json").write_text(text)
    options = [
        "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
        "--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={folder}", "--LabApp.news_url=None",
    ]  # fmt: skip
    with _server(folder, options, "--ServerApp.port") as url:
        yield url


@contextmanager
def voila(folder: Path, notebook: str) -> Iterator[str]:
    """Serve one notebook as a page of its own; yields its URL."""
    with _server(folder, ["-m", "voila", notebook, "--no-browser"], "--port") as url:
        yield url


@contextmanager
def _server(folder: Path, options: Sequence[str], port_option: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    places = {
        f"JUPYTER_{kind}_DIR": str(folder / f".{kind.lower()}") for kind in ("CONFIG", "DATA", "RUNTIME")
    }
    # Jupyter lets this path overrule its own folders, so the server's own comes first here too.
    configs = os.pathsep.join([places["JUPYTER_CONFIG_DIR"], str(_CHECKOUT / "jupyter-config")])
    env = dict(
        os.environ, **places, IPYTHONDIR=str(folder / ".ipython"), PYTHONPATH=str(_CHECKOUT),
        JUPYTER_CONFIG_PATH=configs,
    )  # fmt: skip
    env.pop("AWM_KIT_NODELAY", None)
    log = folder / "server.log"
    command = [sys.executable, *options, f"{port_option}={port}"]
    with open(log, "w") as out:
        server = subprocess.Popen(
            command, env=env, stdout=out, stderr=out, start_new_session=True, cwd=folder
        )
    try:
        _wait_for_port(port, server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait_for_port(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not _listens(port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def chromium_browser(executable: str) -> Iterator[Browser]:
    """A headless browser, closed at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=list(CHROMIUM_ARGS), headless=True
        )
        try:
            yield browser
        finally:
            browser.close()


class Notebook:
    """A notebook in JupyterLab, driven through its own application object.

    Parameters
    ----------
    browser : Browser
    base : str
        URL of the server.
    name : str
        Of the file.
    context : BrowserContext, optional
        To open it as another tab of the same browser window.
    """

    def __init__(self, browser: Browser, base: str, name: str, context: BrowserContext | None = None) -> None:
        self.errors: list[str] = []
        self.context = context or browser.new_context(viewport={"width": 1400, "height": 1050})
        if context is None:
            self.context.add_init_script(PROBE)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{base}/doc/tree/{name}?token={TOKEN}")
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the notebook and its kernel have opened."""
        self.page.wait_for_selector(".jp-Notebook", timeout=60_000)
        self.page.evaluate(
            """async () => {
              const later = (ms) => new Promise((done) => setTimeout(done, ms));
              const widget = () => window.jupyterapp?.shell.currentWidget;
              for (let i = 0; i < 300 && !widget()?.sessionContext; i++) await later(100);
              const context = widget().sessionContext;
              await context.ready;
              for (let i = 0; i < 300 && !context.session?.kernel; i++) await later(100);
              await context.session.kernel.info;
            }"""
        )

    def run(self, index: int, wait: bool = True) -> None:
        """Run a cell, to its end unless told not to ``wait``."""
        self.page.evaluate(
            """async ([index, wait]) => {
              const notebook = jupyterapp.shell.currentWidget.content;
              notebook.activeCellIndex = index;
              notebook.deselectAll();
              const done = jupyterapp.commands.execute('notebook:run-cell');
              if (wait) await done;
            }""",
            [index, wait],
        )

    def output(self, index: int) -> str:
        """What a cell printed, returned or raised, as text."""
        text: str = self.page.evaluate(
            """(index) => {
              const outputs = jupyterapp.shell.currentWidget.content.widgets[index].model.outputs;
              const flat = (value) => Array.isArray(value) ? value.join('') : value ?? '';
              let text = '';
              for (let k = 0; k < outputs.length; k++) {
                const output = outputs.get(k).toJSON();
                text += flat(output.text) || flat(output.data?.['text/plain']) || flat(output.traceback);
              }
              return text;
            }""",
            index,
        )
        return text

    def python(self, index: int, source: str) -> str:
        """Put ``source`` into a cell, run it, and return what it printed."""
        self.put(index, source)
        self.run(index)
        return self.output(index)

    def whisper(self, source: str) -> str:
        """Run ``source`` in the kernel without a cell, once it is idle, and return what it printed."""
        text: str = self.page.evaluate(
            """async (code) => {
              const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
              let text = '';
              const future = kernel.requestExecute({ code, store_history: false });
              future.onIOPub = ({ content }) => {
                text += content.text ?? content.traceback?.join('\\n') ?? '';
              };
              await future.done;
              return text;
            }""",
            source,
        )
        return text

    def put(self, index: int, source: str) -> None:
        """Put ``source`` into a cell."""
        self.page.evaluate(
            "([i, s]) => jupyterapp.shell.currentWidget.content.widgets[i].model.sharedModel.setSource(s)",
            [index, source],
        )

    def cells(self) -> list[str]:
        """The sources of all cells."""
        sources: list[str] = self.page.evaluate(
            "jupyterapp.shell.currentWidget.content.widgets.map((w) => w.model.sharedModel.getSource())"
        )
        return sources

    def save(self) -> None:
        """Save the notebook, outputs and widgets included."""
        self.page.evaluate("jupyterapp.commands.execute('docmanager:save')")

    def reset_probe(self) -> None:
        """Have the page count from now on."""
        self.page.evaluate("window.__probe.reset()")

    def probe(self, seconds: float) -> dict[str, Any]:
        """What the page showed in the next ``seconds``: see lab_probe.js."""
        self.reset_probe()
        self.page.wait_for_timeout(seconds * 1000)
        data: dict[str, Any] = self.page.evaluate("window.__probe.read()")
        return data

    def colors(self) -> int:
        """How many colours the game's canvas shows; 1 or 2 if it is blank."""
        count: int = self.page.evaluate("window.__probe.colors()")
        return count

    def click_game(self) -> None:
        """Click the picture, and wait until keys go to the game."""
        self.page.locator(".awm-play canvas").last.click(position={"x": 300, "y": 200})
        self.page.wait_for_function("document.activeElement?.classList.contains('awm-pad')")

    def shutdown(self) -> None:
        """Stop the kernel and close the tab."""
        self.page.evaluate("jupyterapp.shell.currentWidget?.sessionContext.shutdown()")
        self.context.close()

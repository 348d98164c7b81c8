"""`make lab` really starts: a server on the notebooks, with the kernel and the extension in place."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

TOKEN = "only-for-this-test"
START_SECONDS = 180.0


class Lab:
    """A running server and what it said so far."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.log = log

    def get(self, path: str) -> bytes:
        """Return the body of an authorised GET."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"token {TOKEN}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            body: bytes = answer.read()
        return body


def wait_until_up(lab: Lab, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            lab.get("/api/status")
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    pytest.fail(f"make lab did not start:\n{lab.log.read_text()[-4000:]}")


@pytest.fixture(scope="module")
def lab(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The server of `make lab`, without a window."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("lab")
    options = f"--no-browser --ServerApp.port={port} --IdentityProvider.token={TOKEN}"
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    environment["JUPYTER_RUNTIME_DIR"] = str(folder / "runtime")
    running = Lab(f"http://127.0.0.1:{port}", folder / "log")
    with running.log.open("wb") as log:
        process = subprocess.Popen(
            ["make", "lab", f"LAB_ARGS={options}"],
            cwd=repo_root,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        wait_until_up(running, process)
        yield running
    finally:
        # make's own group, which this test started: make, the server and its kernels.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_lab_opens_on_the_notebooks(lab: Lab) -> None:
    names = {entry["name"] for entry in json.loads(lab.get("/api/contents"))["content"]}
    assert {"01_quantize.ipynb", "02_deploy.ipynb", "03_play.ipynb", "04_fork.ipynb"} <= names
    assert b"JupyterLab" in lab.get("/lab")


def test_lab_has_the_kernel_and_both_widget_front_ends(lab: Lab) -> None:
    assert "python3" in json.loads(lab.get("/api/kernelspecs"))["kernelspecs"]
    page = lab.get("/lab").decode()
    for extension in ("ipycanvas", "anywidget", "@jupyter-widgets/jupyterlab-manager"):
        assert extension in page, f"the page of the lab does not load {extension}"


def test_lab_loads_the_server_extension(lab: Lab) -> None:
    said = lab.log.read_text()
    assert "awm_kit.play.nodelay | extension was successfully loaded" in said, said[-3000:]


def test_lab_does_not_ask_for_news_from_the_internet(lab: Lab) -> None:
    name = "@jupyterlab/apputils-extension:notification"
    settings = json.loads(lab.get(f"/lab/api/settings/{name}"))
    defaults = settings["schema"]["properties"]
    assert defaults["fetchNews"]["default"] == "false"
    assert defaults["checkForUpdates"]["default"] is False

"""The checkout itself: pins, package data, entry points, and what must never be committed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXACT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*")
NEEDED = (
    "aiohttp anywidget hypothesis ipycanvas ipywidgets jupyterlab matplotlib mypy nbclient nbval numpy "
    "peppi-py pillow playwright pytest pytest-timeout pytest-xdist qrcode rich ruff safetensors solana "
    "solders torch tqdm typer types-tqdm voila websockets ziglang"
).split()

# Joined here so that this file does not hold what it looks for.
MACHINE_PATHS = tuple(
    f"/{name}/" for name in ("work", "root", "opt/pypi", "opt/wheels", "home/runner", "Users")
)
MACHINE_PATH = re.compile(rf"(?<![\w.}}~-])({'|'.join(map(re.escape, MACHINE_PATHS))})")
# Where packages come from is the reader's business; a lock with hosts works on one machine only.
REGISTRY = re.compile(
    r"--index-url|--extra-index-url|--find-links|files\.pythonhosted|/simple/|registry\.npmjs"
)
KEYPAIR = re.compile(rb"\[(\s*\d{1,3}\s*,){63}\s*\d{1,3}\s*\]")
LIMIT_BYTES = 6 * 1024 * 1024


def locked(repo_root: Path) -> list[str]:
    """Return the requirement lines of requirements.txt."""
    lines = (repo_root / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def locked_versions(repo_root: Path) -> dict[str, str]:
    """Return version by canonical name."""
    return {
        canonicalize_name(name): version for name, version in (pin.split("==") for pin in locked(repo_root))
    }


@pytest.fixture(scope="session")
def tracked(repo_root: Path) -> list[Path]:
    """Every file that git would hand to somebody else."""
    if not (repo_root / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=repo_root, capture_output=True, check=True
    ).stdout
    files = [repo_root / os.fsdecode(name) for name in listed.split(b"\0") if name]
    assert len(files) > 20
    return [path for path in files if path.is_file()]


def test_every_requirement_is_one_exact_pin(repo_root: Path) -> None:
    pins = locked(repo_root)
    assert [pin for pin in pins if not EXACT.fullmatch(pin)] == []
    assert len(locked_versions(repo_root)) == len(pins), "a package is pinned twice"
    assert set(NEEDED) <= set(locked_versions(repo_root))


def test_torch_is_the_plain_version(repo_root: Path) -> None:
    assert "torch==2.13.0" in locked(repo_root)


def test_conda_and_pip_pin_the_same(repo_root: Path) -> None:
    items = re.findall(r"^      - (.+)$", (repo_root / "environment.yml").read_text(), re.MULTILINE)
    assert items[0] == "-e ."
    assert items[1:] == locked(repo_root)
    assert "  - python=3.11\n" in (repo_root / "environment.yml").read_text()


def test_lock_satisfies_pyproject(repo_root: Path) -> None:
    project = tomllib.loads((repo_root / "pyproject.toml").read_text())
    declared = list(project["build-system"]["requires"]) + list(project["project"]["dependencies"])
    for name, extra in project["project"]["optional-dependencies"].items():
        declared += extra if name != "bench" else []  # peers to measure against, not installed here
    pins = locked_versions(repo_root)
    for requirement in map(Requirement, declared):
        name = canonicalize_name(requirement.name)
        if name != "awm-kit":
            assert requirement.specifier.contains(pins[name]), f"{requirement} against {pins[name]}"


def test_installed_is_what_is_locked(repo_root: Path) -> None:
    differing = {}
    for name, version in locked_versions(repo_root).items():
        installed = metadata.version(name).partition("+")[0]
        if installed != version:
            differing[name] = (version, installed)
    assert differing == {}, "name: (locked, installed); run make setup"


@pytest.mark.parametrize(
    "pattern",
    [
        "kernel_c/*.c",
        "kernel_c/*.h",
        "kernel_c/NUMERICS.md",
        "worlds/*.awm",
        "worlds/*.toml",
        "chain/*.so",
        "chain/*.json",
        "play/*.js",
    ],
)
def test_package_data_is_in_the_wheel(wheel_names: list[str], repo_root: Path, pattern: str) -> None:
    here = sorted(path.relative_to(repo_root).as_posix() for path in (repo_root / "awm_kit").glob(pattern))
    assert here, f"the checkout has no awm_kit/{pattern}"
    assert sorted(set(here) - set(wheel_names)) == []


@pytest.fixture(scope="session")
def wheel(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def wheel_names(wheel: Path) -> list[str]:
    """Names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_wheel_holds_only_the_package(wheel_names: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == {"awm_kit"}
    assert not [name for name in wheel_names if name.endswith((".o", ".pyc", ".slp"))]


@pytest.mark.parametrize("engine", ["native", "chain"])
def test_the_wheel_alone_plays(wheel: Path, tmp_path: Path, engine: str) -> None:
    """Kernel sources, program and shipped world all come from package data, not from the checkout."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "import sys, awm_kit; print(awm_kit.__file__, file=sys.stderr); from awm_kit.cli import app; app()"
    )
    command = [sys.executable, "-c", program, "play", "--headless", "--engine", engine]
    done = subprocess.run(
        [*command, "--frames", "5", "--seed", "1", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(str(tmp_path)), "the checkout's package was imported"
    result = json.loads(done.stdout)
    assert (result["frames"], result["engine"]) == (5, engine)


def test_jupyter_server_extension_is_installed_and_enabled() -> None:
    config = Path(sys.prefix, "etc/jupyter/jupyter_server_config.d/awm_kit.json")
    (module,) = json.loads(config.read_text())["ServerApp"]["jpserver_extensions"]
    points = __import__(module, fromlist=["_"])._jupyter_server_extension_points()
    assert points[0]["module"] == module


def test_awm_is_installed_and_lists_its_verbs() -> None:
    awm = Path(sys.executable).parent / "awm"
    done = subprocess.run([awm, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for verb in "train eval quantize deploy worlds play fork verify retire bench doctor".split():
        assert re.search(rf"\b{verb}\b", done.stdout), f"awm --help does not list {verb}"


def test_nothing_names_a_machine_or_a_registry(tracked: list[Path], repo_root: Path) -> None:
    own = Path(__file__).resolve()
    found = []
    for path in tracked:
        data = path.read_bytes()
        if path == own or b"\0" in data[:8192]:
            continue
        for number, line in enumerate(data.decode("utf-8").splitlines(), 1):
            if REGISTRY.search(line) or MACHINE_PATH.search(line):
                found.append(f"{path.relative_to(repo_root)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_no_binary_names_a_machine(tracked: list[Path], repo_root: Path) -> None:
    # A compiler writes its folder into debug sections, an image editor into a comment.
    named_folder = re.compile(b"|".join(re.escape(path.encode()) + rb"[\w.-]+/" for path in MACHINE_PATHS))
    binaries = [path for path in tracked if path.suffix in (".so", ".awm", ".wasm", ".gif", ".png", ".npz")]
    named = [path for path in binaries if named_folder.search(path.read_bytes())]
    assert [str(path.relative_to(repo_root)) for path in named] == []


def test_no_tracked_file_is_big(tracked: list[Path], repo_root: Path) -> None:
    big = {str(path.relative_to(repo_root)): path.stat().st_size for path in tracked}
    assert {name: size for name, size in big.items() if size > LIMIT_BYTES} == {}


def test_no_secret_key_is_committed(tracked: list[Path], repo_root: Path) -> None:
    holders = [path for path in tracked if path.suffix != ".ipynb" and KEYPAIR.search(path.read_bytes())]
    assert [str(path.relative_to(repo_root)) for path in holders] == []
    assert KEYPAIR.search(json.dumps(list(range(64))).encode())


@pytest.fixture
def small_checkout(repo_root: Path, tmp_path: Path) -> Path:
    """A checkout like this one, but with nothing to download."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repo_root / name, tmp_path)
    for name in ("scripts", "jupyter-config"):
        shutil.copytree(repo_root / name, tmp_path / name)
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    (tmp_path / "awm_kit").mkdir()
    (tmp_path / "awm_kit" / "__init__.py").touch()
    return tmp_path


def run_setup(checkout: Path) -> str:
    """Run scripts/setup.sh with hatchling borrowed from the running environment; return its output."""
    borrowed = sysconfig.get_paths()["purelib"]
    environment = {**os.environ, "PYTHONPATH": borrowed, "PYTHON": sys.executable, "PIP_NO_INDEX": "1"}
    done = subprocess.run(
        ["scripts/setup.sh"], cwd=checkout, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_setup_installs_once_and_repairs_what_was_cut_short(small_checkout: Path) -> None:
    venv = small_checkout / ".venv"
    assert "setup: done" in run_setup(small_checkout)
    assert (venv / "bin" / "awm").is_file()
    assert (venv / "etc/jupyter/jupyter_server_config.d/awm_kit.json").is_file()
    assert run_setup(small_checkout) == "", "nothing changed, so nothing may be done"

    kept = venv / "kept"
    kept.touch()
    (small_checkout / "requirements.txt").write_text("# changed\n")
    assert "setup: done" in run_setup(small_checkout)
    assert kept.exists(), "a changed lock updates the environment in place"

    (small_checkout / ".venv.installing").touch()
    assert "setup: done" in run_setup(small_checkout)
    assert not kept.exists(), "a half-written environment is made anew"

    (venv / "bin" / "python").unlink()
    assert "setup: done" in run_setup(small_checkout), "an environment whose Python is gone is made anew"


def test_setup_keeps_the_environment_when_pip_gives_up(small_checkout: Path) -> None:
    run_setup(small_checkout)
    (small_checkout / "requirements.txt").write_text("a-package-that-no-index-has==1.0\n")
    environment = {**os.environ, "PYTHON": sys.executable, "PIP_NO_INDEX": "1"}
    done = subprocess.run(
        ["scripts/setup.sh"], cwd=small_checkout, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1
    assert "could not install requirements.txt" in done.stderr
    assert not (small_checkout / ".venv.installing").exists()
    (small_checkout / "requirements.txt").write_text("# nothing\n")
    assert "setup: done" in run_setup(small_checkout)

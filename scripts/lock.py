"""Write requirements.txt and environment.yml from what the running environment holds.

``make lock`` runs it after a deliberate ``pip install`` in ``.venv``; both files get the same pins.
Local version labels (``+cpu``) are dropped: they name a build, and an index that has only the plain
version must be able to serve the lock.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.11"

# pip itself comes with the venv, the package under development is never its own requirement.
LEFT_OUT = {"pip", "awm-kit"}

REQUIREMENTS_HEADER = """\
# Every package that make setup installs, pinned. Written by `make lock`; torch is the CPU build.
"""
ENVIRONMENT_HEADER = f"""\
# The pins of requirements.txt for conda: `conda env create -f environment.yml`. Written by `make lock`.
name: awm-kit
channels:
  - conda-forge
dependencies:
  - python={PYTHON}
  - pip
  - pip:
      - -e .
"""


def pins() -> list[str]:
    """Return ``name==version`` of every installed distribution, sorted by name."""
    command = [sys.executable, "-m", "pip", "freeze", "--all", "--exclude-editable", "--local"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")
    found = []
    for line in filter(None, lines):
        name, separator, version = line.partition("==")
        if not separator:
            raise SystemExit(f"expected name==version from pip freeze (got {line!r})")
        if name not in LEFT_OUT:
            found.append(f"{name}=={version.partition('+')[0]}")
    return sorted(found, key=str.lower)


def main() -> None:
    """Write both files."""
    locked = pins()
    (ROOT / "requirements.txt").write_text(REQUIREMENTS_HEADER + "".join(f"{pin}\n" for pin in locked))
    conda = "".join(f"      - {pin}\n" for pin in locked)
    (ROOT / "environment.yml").write_text(ENVIRONMENT_HEADER + conda)
    print(f"locked {len(locked)} packages")


if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# Make .venv from requirements.txt with the package in it (editable). Does nothing when nothing changed.
#
# The stamp names what the environment was made from and is written last. A marker stands while
# packages are being written: where one is found, the last run was killed half way, and a half-written
# package looks installed to pip, so the environment is made anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
python=$venv/bin/python
stamp=$venv/awm-kit.stamp
marker=.venv.installing # outside, where making the environment anew does not remove it

# The checkout's path counts: an environment that was moved with its folder has dead scripts.
wanted=$({ pwd; cat requirements.txt pyproject.toml jupyter-config/*.json jupyter-config/*/*.json; } | cksum)

up_to_date() {
  [[ -f $stamp && ! -e $marker && $(<"$stamp") == "$wanted" && -x $venv/bin/awm ]] && "$python" -c '' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3 python; do
    if [[ -n $candidate ]] && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "setup: expected Python 3.11 on the PATH (got none); name one with PYTHON=/path/to/python3.11" >&2
  return 1
}

make_venv() {
  local base
  base=$(find_python)
  # Debian keeps ensurepip, which venv needs, in a package of its own.
  "$base" -c 'import ensurepip, venv' 2>/dev/null || scripts/setup-system.sh venv
  "$base" -m venv --clear "$venv"
}

up_to_date && exit 0

# Two makes at once (a notebook server and a test run, say) must not write the same folder.
if command -v flock >/dev/null; then
  exec 9>.venv.lock
  flock 9
  up_to_date && exit 0
fi

trap 'exit 130' INT TERM
echo "setup: installing $(grep -c == requirements.txt) packages into $venv: 2.3 GB, the first time some minutes"
rm -f "$stamp"
if [[ -e $marker ]] || ! "$python" -c 'import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
  touch "$marker"
  make_venv
fi
touch "$marker"
pip=("$python" -m pip --disable-pip-version-check)
[[ -t 1 ]] || pip+=(--quiet) # somebody who watches sees what it is at
status=0
"${pip[@]}" install -r requirements.txt || status=$?
if ((status)); then
  # Below 128 pip gave up by itself and rolled back: what was there is whole. Otherwise it was killed.
  if ((status < 128)); then rm -f "$marker"; fi
  echo "setup: pip could not install requirements.txt; see above" >&2
  exit 1
fi
"${pip[@]}" install --no-deps --no-build-isolation --editable .

# JupyterLab's news pop-up asks to reach the internet; the lab is to work without.
mkdir -p "$venv/share/jupyter/lab/settings"
cp jupyter-config/overrides.json "$venv/share/jupyter/lab/settings/overrides.json"

rm -f "$marker"
echo "$wanted" >"$stamp"
echo "setup: done"

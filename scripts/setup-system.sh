#!/usr/bin/env bash
# Install Debian packages that pip cannot: `setup-system.sh venv`, `chromium` or `qemu`.
#
# Only what is missing, and only as root or with passwordless sudo. `venv` is needed for everything and
# fails where it cannot be had. `chromium` is needed by the tests in a browser: without it they skip
# with a reason, and fail under CI=true (tests/conftest.py), so here it is only a notice. `qemu` runs the
# AArch64 kernel on other machines: without it that test skips.
set -euo pipefail

have_chromium() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null
}

install() {
  local as_root=()
  command -v apt-get >/dev/null || { echo "no apt-get on this system" >&2; return 1; }
  if [[ $(id -u) -ne 0 ]]; then
    sudo -n true 2>/dev/null || { echo "neither root nor passwordless sudo" >&2; return 1; }
    as_root=(sudo -n)
  fi
  "${as_root[@]}" apt-get update -qq || true # stale lists may still do
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

case "${1:-}" in
  venv)
    install python3.11-venv || { echo "setup-system: please install python3.11-venv" >&2; exit 1; }
    ;;
  chromium)
    have_chromium && exit 0
    echo "setup-system: installing chromium for the tests in a browser"
    install chromium fonts-dejavu-core ||
      echo "setup-system: no chromium; tests in a browser will skip (under CI=true: fail)" >&2
    ;;
  qemu)
    command -v qemu-aarch64 >/dev/null && exit 0
    echo "setup-system: installing qemu-user for the test of the AArch64 kernel"
    install qemu-user || echo "setup-system: no qemu-user; the AArch64 test will skip" >&2
    ;;
  *)
    echo "usage: setup-system.sh venv|chromium|qemu" >&2
    exit 2
    ;;
esac

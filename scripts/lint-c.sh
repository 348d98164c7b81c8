#!/usr/bin/env bash
# Compile every C file of the kernel with all warnings as errors; keeps no object.
#
# With the system's compiler where the file is for this machine, and with zig's clang for every machine.
# The program and the kernel's BPF build have the same warnings in awm_kit/chain/sbf/build.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-.venv/bin/python}
kernel=awm_kit/kernel_c
strict=(-std=c99 -O2 -Wall -Wextra -pedantic -Werror -I"$kernel" -c -o /dev/null)
zig=("$python" -m ziglang cc)

flags_of() {
  case "$1" in
    *avx512*) echo "-mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx512vnni" ;;
    *avx2*) echo "-mavx2" ;;
  esac
}

status=0
check() { # what it is, then the command
  local what=$1
  shift
  "$@" || { echo "lint-c: $what" >&2; status=1; }
}

machine=$(uname -m)
for file in "$kernel"/*.c; do
  read -r -a flags <<<"$(flags_of "$file")"
  case "$file" in
    *avx*) native=$([[ $machine == x86_64 ]] && echo 1 || true) target=x86_64-linux-musl ;;
    *neon*) native=$([[ $machine == aarch64 || $machine == arm64 ]] && echo 1 || true) target=aarch64-linux-musl ;;
    *) native=1 target= ;;
  esac
  if [[ -n $native ]] && command -v cc >/dev/null; then
    check "$file (cc)" cc "${strict[@]}" "${flags[@]}" "$file"
  fi
  check "$file (zig)" "${zig[@]}" "${strict[@]}" ${target:+-target "$target"} "${flags[@]}" "$file"
done
exit "$status"

#!/usr/bin/env bash
# Writes both lock files anew from the ranges of setup.py and the two files of overrides.
#
#   requirements/lock.sh [--upgrade]      versions already locked are kept unless --upgrade is given
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=${VENV:-.venv}/bin/uv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# compile NAME OPTION...: resolves into requirements/lock-NAME.txt.
compile() {
  local name=$1 lock=requirements/lock-$1.txt
  shift
  [ ! -e "$lock" ] || cp "$lock" "$work/$name.txt" # what is locked is what uv prefers
  "$uv" pip compile setup.py --extra dev --extra cloud --extra dicom --extra kaggle --extra serving \
    --python-version 3.11 --override "requirements/overrides-$name.txt" \
    --no-header --no-annotate --quiet --output-file "$work/$name.txt" "$@"
  # Markers that hold on every machine that set-up accepts say nothing to a reader.
  {
    [ ! -e "$lock" ] || sed '/^#/!Q' "$lock" # its head is written by hand and kept
    grep -v '^#' "$work/$name.txt" | sed -E \
      -e "s/ and (implementation_name == 'cpython'|platform_machine == 'x86_64'|sys_platform == 'linux'|platform_python_implementation != 'PyPy')//g" \
      -e "s/ ; python_full_version < '3.14'$//"
  } >"$lock.new"
  mv "$lock.new" "$lock"
}

compile glibc-lt-2.39 --python-platform x86_64-manylinux_2_28 "$@"
compile glibc-ge-2.39 --universal "$@"

#!/usr/bin/env bash
# Writes the lock files of the image, with the hash of every wheel that is installed.
#
#   requirements/lock-image.sh [--upgrade]
#
# Versions are those of lock-glibc-ge-2.39.txt, so that what is tested is what is shipped; --upgrade
# reaches only what that lock does not hold (the packages for a GPU). Run it after lock.sh.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=${VENV:-.venv}/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Of several lines for one package the last is that of the newest Python; a line for older Pythons
# alone still gives the version (kfp-pipeline-spec).
pins() { sed -nE 's/^([a-z0-9._-]+==[^ ;]+).*/\1/p' "$1"; }
pins requirements/lock-glibc-ge-2.39.txt |
  awk -F '==' '{version[$1] = $2} END {for (name in version) print name "==" version[name]}' |
  sort >"$work/constraints.txt"
if [ "${1:-}" != --upgrade ] && [ -e requirements/lock-image-gpu.txt ]; then
  pins requirements/lock-image-gpu.txt | grep '^nvidia-' >>"$work/constraints.txt"
fi

# compile NAME INPUT...: resolves into requirements/lock-image-NAME.txt.
compile() {
  local name=$1 lock=requirements/lock-image-$1.txt
  shift
  "$bin/uv" pip compile "$@" \
    --python-version 3.13 --python-platform x86_64-manylinux_2_40 --format pylock.toml \
    --override requirements/overrides-glibc-ge-2.39.txt --constraint "$work/constraints.txt" \
    --no-header --no-annotate --quiet --output-file "$work/pylock.toml"
  "$bin/python" requirements/wheels.py "$name" <"$work/pylock.toml" >"$lock.new"
  mv "$lock.new" "$lock"
}

project=(setup.py --extra cloud --extra dicom --extra serving)
compile cpu "${project[@]}"
compile gpu "${project[@]}" requirements/image-gpu.txt
compile sbom requirements/sbom.txt

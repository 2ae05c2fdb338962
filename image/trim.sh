#!/usr/bin/env bash
# Takes from a site-packages folder what no container of this project uses; prints what each saves.
#
#   image/trim.sh FOLDER
set -euo pipefail
cd "$1"

said() { printf '%8.1f MiB  %s\n' "$(awk "BEGIN {print $1 / 1048576}")" "$2"; }

# trim WHAT FIND-EXPRESSION...: removes what find names.
trim() {
  local what=$1 bytes
  shift
  bytes=$(find . "$@" -print0 | du -cb --files0-from=- | tail -n 1 | cut -f 1)
  find . "$@" -prune -exec rm -rf {} +
  said "$bytes" "$what"
}

trim 'tests of packages' -type d '(' -name tests -o -name testdata -o -name test_data ')' -not -path './*testing*'
trim 'headers of C++' -type d -name include '(' -path './tensorflow/*' -o -path './pyarrow/*' -o -path './numpy/*' ')'
trim 'static libraries, sources of extensions, stubs' -type f '(' -name '*.a' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' ')'
trim 'libclang (TensorFlow names it and never loads it)' -path './clang/native/libclang.so'
trim 'Java workers of Ray' -type d -path './ray/jars'
trim 'bytecode' -type d -name __pycache__

# Names of functions that only a debugger reads. Libraries that auditwheel has put into *.libs are
# left alone: their changed headers do not survive it.
before=$(du -sb . | cut -f 1)
find . -type f -name '*.so*' -size +4M -not -path './*.libs/*' -exec strip --strip-unneeded {} +
said "$((before - $(du -sb . | cut -f 1)))" 'symbols for debuggers'

#!/usr/bin/env bash
# Removes from a site-packages folder what the image does not need; prints the size of each part.
#
#   image/trim.sh FOLDER
set -euo pipefail
cd "$1"

report() { printf '%8.1f MiB  %s\n' "$(awk "BEGIN {print $1 / 1048576}")" "$2"; }

# trim WHAT FIND-EXPRESSION...: removes what the expression matches.
trim() {
  local what=$1 bytes
  shift
  bytes=$(find . "$@" -print0 | du -cb --files0-from=- | tail -n 1 | cut -f 1)
  find . "$@" -prune -exec rm -rf {} +
  report "$bytes" "$what"
}

trim 'tests of packages' -type d '(' -name tests -o -name testdata -o -name test_data ')' -not -path './*testing*'
trim 'headers of C++' -type d -name include '(' -path './tensorflow/*' -o -path './pyarrow/*' -o -path './numpy/*' ')'
trim 'static libraries, sources of extensions, stubs' -type f '(' -name '*.a' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' ')'
trim 'libclang (a requirement of TensorFlow that it never loads)' -path './clang/native/libclang.so'
trim 'bytecode' -type d -name __pycache__

# Only debuggers read these. Libraries in auditwheel's *.libs are left alone: strip breaks them.
before=$(du -sb . | cut -f 1)
find . -type f -name '*.so*' -size +4M -not -path './*.libs/*' -exec strip --strip-unneeded {} +
report "$((before - $(du -sb . | cut -f 1)))" 'debug symbols'

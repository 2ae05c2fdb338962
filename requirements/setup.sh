#!/usr/bin/env bash
# Makes the virtual environment of PneumoTFX, with the lock file that fits this machine.
#
#   requirements/setup.sh [FOLDER]        FOLDER is .venv unless given
#   PYTHON=python3.12 requirements/setup.sh
#
# FOLDER/.ready is written last. Where it is missing (a first call, or one that was interrupted)
# the environment is made anew; where it is there, the environment is brought to the lock file.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${1:-.venv}
started=$SECONDS

say() { printf 'set-up: %s\n' "$*"; }
fail() {
  printf 'set-up: %s\n' "$*" >&2
  exit 1
}

# --- What the machine has -------------------------------------------------------------------

# Prints "3.11 2.36 x86_64 yes" for an interpreter: its version, its C library, the machine, and
# whether it can make a virtual environment with pip.
probe() {
  "$1" - 2>/dev/null <<'PY'
import os, platform, sys
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION").split()[1]
except (ValueError, AttributeError, OSError):
    libc = "none"
try:
    import ensurepip, venv
    able = "yes"
except ImportError:
    able = "no"
print("%d.%d" % sys.version_info[:2], libc, platform.machine(), able)
PY
}

at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

[ "$(uname -s)/$(uname -m)" = Linux/x86_64 ] ||
  fail "TFX's packages exist for Linux on x86_64 only; this is $(uname -s) on $(uname -m). Run it in a container or virtual machine of that kind."
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2) || true
[ -n "$libc" ] || fail "TFX's packages need the GNU C library, which is not on this system. Use Debian 12 or later, or Ubuntu 22.04 or later."

if at_least "$libc" 2.39; then
  lock=requirements/lock-glibc-ge-2.39.txt
  accepted="3.11 3.12 3.13"
  system_packages="python3 python3-venv"
else
  # ml-metadata 1.17 has no wheels for later Pythons.
  lock=requirements/lock-glibc-lt-2.39.txt
  accepted="3.11"
  system_packages="python3.11 python3.11-venv"
fi

candidates=(python3 python3.11 python3.12 python3.13)
[ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
python="" found=""
for candidate in "${candidates[@]}"; do
  read -r version _ _ able < <(probe "$candidate") || continue
  found+="${found:+, }$candidate is $version"
  case " $accepted " in *" $version "*) python=$candidate && break ;; esac
done

as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo "
if [ -z "$python" ]; then
  fail "Python ${accepted// / or } is needed with glibc $libc (${found:-none found}). Bring it with: ${as_root}apt-get update && ${as_root}apt-get install -y $system_packages   or name one: PYTHON=/path/to/python${accepted%% *} make setup"
fi
if [ "$able" = no ]; then
  fail "$python (Python $version) cannot make virtual environments. Bring what is missing with: ${as_root}apt-get update && ${as_root}apt-get install -y python$version-venv"
fi

# --- Settings of the installers -------------------------------------------------------------

# uv reads neither pip's variables nor pip's files; a mirror that pip knows has to serve both.
pip_setting() { "$venv/bin/python" -m pip config get "$1" 2>/dev/null || true; }
hand_pip_settings_to_uv() {
  local index extra cert
  index=${PIP_INDEX_URL:-$(pip_setting global.index-url)}
  extra=${PIP_EXTRA_INDEX_URL:-$(pip_setting global.extra-index-url)}
  cert=${PIP_CERT:-$(pip_setting global.cert)}
  if [ -n "$index" ] && [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX=$index; fi
  if [ -n "$extra" ] && [ -z "${UV_INDEX:-}${UV_EXTRA_INDEX_URL:-}" ]; then export UV_INDEX=$extra; fi
  if [ -n "$cert" ] && [ -z "${SSL_CERT_FILE:-}" ]; then export SSL_CERT_FILE=$cert; fi
  return 0
}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
export UV_PYTHON_DOWNLOADS=never
quiet=() # in a terminal uv shows how far the downloads are; in a log 300 lines say nothing
[ -t 2 ] || quiet=(--quiet)
# A cache of its own where the home folder cannot hold one.
if [ -z "${UV_CACHE_DIR:-}${XDG_CACHE_HOME:-}" ] && { [ ! -d "${HOME:-}" ] || ! mkdir -p "$HOME/.cache/uv" 2>/dev/null; }; then
  export UV_CACHE_DIR=$venv/cache
fi
# An environment that was active in the calling shell must not be the one that is written to.
unset VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME

# --- The three steps ------------------------------------------------------------------------

step() { say "$1 ($((SECONDS - started)) s)"; }

if [ ! -e "$venv/.ready" ] || [ "$(probe "$venv/bin/python" | cut -d' ' -f1)" != "$version" ]; then
  step "1/3 virtual environment in $venv with Python $version"
  "$python" -m venv --clear "$venv"
else
  step "1/3 virtual environment in $venv is there"
fi
rm -f "$venv/.ready"

uv_pin=$(grep '^uv==' requirements/tools.txt)
if ! "$venv/bin/uv" --version 2>/dev/null | grep -q "^uv ${uv_pin#uv==} "; then
  "$venv/bin/python" -m pip install -q "$uv_pin" || say "uv could not be had; pip is slower but does the same"
fi
hand_pip_settings_to_uv

step "2/3 packages of $lock"
with_uv() {
  "$venv/bin/uv" --version >/dev/null 2>&1 || return 1
  "$venv/bin/uv" pip sync "${quiet[@]}" -p "$venv" --compile-bytecode requirements/tools.txt "$lock"
}
with_pip() {
  "$venv/bin/python" -m pip install -q --compile --no-deps -r "$lock"
}
with_uv || { say "trying with pip" && with_pip; } ||
  fail "the packages could not be installed: the lines above say why. Set-up needs a package index: behind a mirror, set PIP_INDEX_URL to it; then call the same command again."

step "3/3 the project itself, editable, with the command pneumo"
"$venv/bin/python" -m pip install -q --no-deps --no-build-isolation -e . ||
  fail "the project itself could not be installed: the lines above say why."

touch "$venv/.ready"
say "done in $((SECONDS - started)) s: $venv, Python $version, glibc $libc"

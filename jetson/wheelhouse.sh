#!/usr/bin/env bash
# Fill a folder with all that install.sh needs, for a board without a network.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: wheelhouse.sh [options] DIR

Makes the folder DIR: the wheel of cspine and of all that it needs on a board, in the versions of
requirements/device.txt, and SHA256SUMS, which install.sh checks. It needs a package index, here;
install.sh needs none. DIR appears when it is complete, never before.

  --python-version VERSION   the board's Python: 3.10 on JetPack 6, 3.12 on JetPack 7 [default: 3.10]
  --machine NAME             what `uname -m` says on the board [default: aarch64]
  --wheel FILE               cspine's wheel [default: built from the repository around this script]
  -h, --help                 this text

pycuda, which runs engines, has no wheels. Where Python and machine are the board's and CUDA's nvcc
and headers are found, as on a board, it is built; elsewhere its source is taken.
The environment variable PYTHON names the interpreter that runs pip [default: python3].

Example:
  ./wheelhouse.sh --python-version 3.12 /media/stick/wheelhouse

Exit status: 0 made, 2 bad usage or something is missing, else pip's.
TEXT
}

fail() { # what was found; what to do
  printf 'wheelhouse.sh: %s\n  to do: %s\n' "$1" "$2" >&2
  exit 2
}

python=${PYTHON:-python3} version=3.10 machine=aarch64 wheel='' folder=''
while (($#)); do
  case $1 in
    --python-version | --machine | --wheel)
      (($# > 1)) || fail "$1 needs a value" 'see wheelhouse.sh --help'
      case $1 in
        --python-version) version=$2 ;;
        --machine) machine=$2 ;;
        --wheel) wheel=$2 ;;
      esac
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) fail "unknown option $1" 'see wheelhouse.sh --help' ;;
    *)
      [[ -z $folder ]] || fail "two folders: $folder and $1" 'give one'
      folder=${1%/}
      ;;
  esac
  shift
done

repository=$(cd "$(dirname "$0")/.." && pwd)
pins=$repository/requirements/device.txt

check() {
  [[ -n $folder ]] || fail 'no folder given' 'see wheelhouse.sh --help'
  [[ ! -e $folder ]] || fail "$folder exists" 'remove it, or name another'
  [[ -d $(dirname "$folder") ]] || fail "$(dirname "$folder") is no folder" 'make it first'
  [[ $version =~ ^3\.1[0-3]$ ]] || fail "Python $version: cspine needs 3.10 to 3.13" \
    'see what python3 --version says on the board'
  [[ $machine == aarch64 || $machine == x86_64 ]] ||
    fail "machine $machine: cspine runs on aarch64 and x86_64" 'see what uname -m says on the board'
  [[ -z $wheel || (${wheel##*/} == cspine-*.whl && -f $wheel) ]] ||
    fail "$wheel is no wheel of cspine" 'leave --wheel out, to build one'
  command -v "$python" >/dev/null || fail "no $python" 'name one: PYTHON=python3.12 wheelhouse.sh ...'
}

pip() { "$python" -m pip --disable-pip-version-check --quiet "$@"; }

pinned() { # the pins that hold on the board; pip would judge by the Python that it runs on
  pip install --no-deps --target "$work/tools" --constraint "$pins" packaging
  PYTHONPATH=$work/tools "$python" - "$version" "$machine" "$pins" <<'CODE'
import sys
from pathlib import Path

from packaging.requirements import Requirement

version, machine, pins = sys.argv[1:]
board = {
    "implementation_name": "cpython",
    "platform_machine": machine,
    "platform_python_implementation": "CPython",
    "python_full_version": f"{version}.0",
    "python_version": version,
    "sys_platform": "linux",
}
print(f"# Python {version} on {machine}")
for pin in map(Requirement, Path(pins).read_text().splitlines()):
    if pin.marker is None or pin.marker.evaluate(board):
        print(f"{pin.name}{pin.specifier}")
CODE
}

platforms() { # glibc 2.35, that of JetPack 6, and everything older
  local minor
  for minor in {35..5}; do printf -- '--platform\nmanylinux_2_%s_%s\n' "$minor" "$machine"; done
  for minor in 2014 2010 1; do printf -- '--platform\nmanylinux%s_%s\n' "$minor" "$machine"; done
}

add_wheels() {
  local tags
  mapfile -t tags < <(platforms)
  pip download --no-deps --only-binary=:all: --dest "$part" \
    --implementation cp --python-version "$version" "${tags[@]}" \
    --requirement <(grep -v '^pycuda==' "$part/constraints.txt")
}

add_pycuda() {
  local pin here nvcc
  PATH=$PATH:/usr/local/cuda/bin
  pin=$(grep '^pycuda==' "$part/constraints.txt")
  here=$("$python" -c 'import platform as p; print(*p.python_version_tuple()[:2], sep=".")')
  if [[ $here == "$version" && $(uname -m) == "$machine" ]] && nvcc=$(command -v nvcc) &&
    [[ -f ${nvcc%/bin/nvcc}/include/cuda.h ]]; then
    pip wheel --no-deps --wheel-dir "$part" "$pin"
  else
    pip download --no-deps --no-binary=pycuda --dest "$part" "$pin"
  fi
}

check
work=$(mktemp -d)
part=$folder.part # beside it, so that the last step is a rename
trap 'rm -rf "$work" "$part"' EXIT
rm -rf "$part"
mkdir "$part"
if [[ -n $wheel ]]; then
  cp "$wheel" "$part"
else
  pip wheel --no-deps --wheel-dir "$part" "$repository"
fi
pinned >"$part/constraints.txt"
add_wheels
add_pycuda
(cd "$part" && LC_ALL=C sha256sum -- * >"$work/SHA256SUMS")
mv "$work/SHA256SUMS" "$part"
sync "$part"/*
mv "$part" "$folder"
printf '%s: %s files for %s\n' "$folder" "$(wc -l <"$folder/SHA256SUMS")" \
  "$(sed -n '1s/# //p' "$folder/constraints.txt")"
printf 'its SHA256SUMS has the digest %s\n' "$(sha256sum "$folder/SHA256SUMS" | cut -d ' ' -f 1)"

#!/bin/sh
# Make a virtual environment, also on a Debian or Ubuntu whose Python came without venv.
set -eu
python=$1
venv=$2
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || {
  echo "cspine needs Python 3.10 to 3.13; $python is $("$python" -V 2>&1)" >&2
  echo "choose another: make PYTHON=python3.12 ..." >&2
  exit 1
}
"$python" -m venv "$venv" >/dev/null 2>&1 && exit 0
rm -rf "$venv"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
  "$python" -m venv "$venv"
else
  echo "this Python cannot make virtual environments; run: sudo apt-get install python3-venv" >&2
  exit 1
fi

#!/usr/bin/env bash
# The runtime's tests on the oldest and the newest Python, each in an environment of its own.
# Without PyTorch: export and training run on workstations, the runtime on whatever a device has.
set -euo pipefail
cd "$(dirname "$0")/.."
for version in ${PYTHONS:-3.10 3.13}; do
  python=$(command -v "python$version" || true)
  "${python:-false}" -c '' 2>/dev/null ||
    python=$(find "${PYENV_ROOT:-$HOME/.pyenv}/versions" -path "*/$version.*/bin/python3" 2>/dev/null | sort -V | tail -n 1)
  if [ -z "$python" ]; then
    echo "check: no Python $version here; install it or choose others: make check PYTHONS=3.12" >&2
    exit 1
  fi
  venv=.venv-$version
  [ -d "$venv" ] || "$python" -m venv "$venv"
  "$venv/bin/python" -m pip --disable-pip-version-check --quiet install \
    --constraint requirements/locked.txt --editable '.[openvino,calibration,bench,dev]'
  "$venv/bin/python" -m pytest tests/unit tests/contract
done

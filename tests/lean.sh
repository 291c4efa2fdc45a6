#!/usr/bin/env bash
# The device's promise: the wheel alone, in an empty environment, judges studies, and itself.
# Usage: tests/lean.sh DEMO, the folder of a finished `cspine demo`.
set -euo pipefail
demo=$(realpath "$1")
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-python3}
"$python" -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip wheel --no-deps --wheel-dir "$work" "$here"
pip install --constraint "$here/requirements/locked.txt" "$work"/cspine-*.whl
cd "$work" # away from the sources: what runs is what the wheel holds
for absent in torch onnx scipy matplotlib openvino; do
  if "$work/venv/bin/python" -c "import $absent" 2>/dev/null; then
    echo "lean: the runtime's dependencies bring $absent" >&2
    exit 1
  fi
done
"$work/venv/bin/cspine" doctor
"$work/venv/bin/cspine" run "$demo/xray.cspine" "$demo/studies/studies" -o results
cp -r "$demo/xray.cspine" .
"$work/venv/bin/cspine" verify xray.cspine --set "$demo/test"
du -sh "$work/venv" | sed 's/\t.*/ installed/'

#!/usr/bin/env bash
# The board's promise: a wheelhouse, made here, installs twice in a row where there is no network,
# and what it installed judges studies there. Making it again gives the same files.
# Usage: tests/offline.sh DEMO, the folder of a finished `cspine demo`.
set -euo pipefail
demo=$(realpath "$1")
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-python3}
version=$("$python" -c 'import platform as p; print(*p.python_version_tuple()[:2], sep=".")')
cut=(unshare --net) # all there is then is a loopback, and that is down
[ "$(id -u)" = 0 ] || cut+=(--map-root-user)
cd "$work" # away from the sources: what runs is what the wheelhouse holds
for name in wheelhouse again; do
  PYTHON=$python "$here/jetson/wheelhouse.sh" --python-version "$version" \
    --machine "$(uname -m)" "$name"
done
cmp wheelhouse/SHA256SUMS again/SHA256SUMS
for _ in first second; do
  "${cut[@]}" "$here/jetson/install.sh" --not-a-jetson --python "$python" --prefix "$work/cspine" \
    wheelhouse
done
"${cut[@]}" cspine/bin/cspine doctor
"${cut[@]}" cspine/bin/cspine run "$demo/xray.cspine" "$demo/studies/studies" -o results

#!/usr/bin/env bash
# The board's wheels, emulated on another machine, give the answers that this machine gives.
# Usage: tests/aarch64/run.sh DEMO [VERSION]; DEMO is the folder of a finished `cspine demo`,
# VERSION one of ONNX Runtime to emulate in place of the wheelhouse's. Needs Debian or Ubuntu; as
# root it installs what it lacks. What it downloads stays in build/aarch64. The environment variable
# PYTHON names an interpreter that has cspine: it gives this machine's answers.
set -euo pipefail
demo=$(realpath "$1")
here=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
place=$here/build/aarch64
root=$place/root site=$place/site
# As an Orin's Cortex-A78AE: products of 8 bits summed in 32 (asimddp), nothing newer.
cpu=cortex-a76
# An emulated film takes a minute or two in FP32, so three do. The last is refused.
studies=("$demo"/studies/studies/phantom-11-0000{0,2,4})

lacking=()
command -v qemu-aarch64-static >/dev/null || lacking+=(qemu-user-static)
command -v debootstrap >/dev/null || lacking+=(debootstrap)
if ((${#lacking[@]})); then
  if [ "$(id -u)" != 0 ]; then
    echo "aarch64: run: sudo apt-get install ${lacking[*]}" >&2
    exit 1
  fi
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${lacking[@]}" >/dev/null
fi

make_root() { # Debian 12 for arm64, unpacked and never run: its Python is 3.11
  rm -rf "$root" "$root.part"
  debootstrap --arch=arm64 --foreign --variant=minbase --include=python3 bookworm "$root.part" \
    >"$place/debootstrap.log"
  for package in "$root.part"/var/cache/apt/archives/*.deb; do
    dpkg -x "$package" "$root.part"
  done
  # What an emulated program opens is looked for here before the host's. Both tell ONNX Runtime
  # what processor it is on; without them it crashes when it is imported (1.31.1).
  mkdir -p "$root.part/proc" "$root.part/sys/devices/system/cpu"
  echo 0 | tee "$root.part"/sys/devices/system/cpu/{possible,present} >/dev/null
  cat >"$root.part/proc/cpuinfo" <<'TEXT'
processor	: 0
BogoMIPS	: 62.50
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: 0xd42
CPU revision	: 1

TEXT
  mv "$root.part" "$root"
}

mkdir -p "$place"
[ -d "$root" ] || make_root
rm -rf "$place/wheelhouse" "$site"
PYTHON=$python "$here/jetson/wheelhouse.sh" --python-version 3.11 --machine aarch64 "$place/wheelhouse"
for wheel in "$place"/wheelhouse/*.whl; do
  "$python" -m zipfile -e "$wheel" "$site"
done
if [ -n "${2:-}" ]; then
  rm -rf "$place/other" "$site"/onnxruntime*
  "$python" -m pip --disable-pip-version-check --quiet download --no-deps --only-binary=:all: \
    --python-version 3.11 --platform manylinux_2_28_aarch64 --dest "$place/other" "onnxruntime==$2"
  "$python" -m zipfile -e "$place"/other/onnxruntime-*.whl "$site"
fi

emulated() { # a program of the board's Python
  qemu-aarch64-static -L "$root" -cpu "$cpu" -E "PYTHONPATH=$site" -E CSPINE_CACHE="$place/cache" \
    "$root/usr/bin/python3.11" "$@"
}
native() { "$python" "$@"; }

cd "$place"
export CSPINE_CACHE=$place/cache
rm -rf cache answers
emulated -c 'from cspine.cli import main; main()' doctor
for machine in native emulated; do
  "$machine" -c 'from cspine.cli import main; main()' run "$demo/xray.cspine" \
    "${studies[@]}" --precision fp32 -o "answers/$machine-fp32"
  "$machine" "$here/tests/aarch64/int8.py" "$demo/xray.cspine" "answers/$machine-int8" \
    "${studies[@]}"
done
"$python" "$here/tests/aarch64/compare.py" answers/{native,emulated}-fp32 0.001 1
# Sums in another order move a number from one step of 8 bits to the next, and more follow: a pixel
# labelled otherwise moves a crop. Which of two such answers is as right as FP32's, `verify` tells.
"$python" "$here/tests/aarch64/compare.py" answers/{native,emulated}-int8 0.05 3

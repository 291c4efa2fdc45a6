#!/usr/bin/env bash
# Install cspine on a Jetson, into a virtual environment that sees JetPack's TensorRT.
# Run it again to upgrade or repair; nothing outside the prefix is written, no network is used.
set -euo pipefail
umask 022 # root's umask may be stricter, but the service must be able to read this

usage() {
  cat <<'TEXT'
usage: install.sh [options] WHEELHOUSE

Installs cspine from a folder that wheelhouse.sh made, in exactly the versions that lie there, into
a virtual environment, and runs `cspine doctor`. A wheelhouse that is not whole is refused first.

  --prefix DIR       the environment [default: /opt/cspine]
  --tensorrt         also install the extra `tensorrt`: pycuda, which runs the engines
  --python EXE       the interpreter that JetPack's packages belong to [default: python3]
  --not-a-jetson     install here although this is no Jetson
  -h, --help         this text

Example:
  sudo ./install.sh --tensorrt /media/stick/wheelhouse

Exit status: 0 installed, 2 something is missing or wrong (nothing was changed), else pip's.
TEXT
}

fail() { # what was found; what to do
  printf 'install.sh: %s\n  to do: %s\n' "$1" "$2" >&2
  exit 2
}

prefix=/opt/cspine wheelhouse='' tensorrt=no python=python3 elsewhere=no
while (($#)); do
  case $1 in
    --prefix | --python)
      (($# > 1)) || fail "$1 needs a value" 'see install.sh --help'
      case $1 in
        --prefix) prefix=$2 ;;
        --python) python=$2 ;;
      esac
      shift
      ;;
    --tensorrt) tensorrt=yes ;;
    --not-a-jetson) elsewhere=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) fail "unknown option $1" 'see install.sh --help' ;;
    *)
      [[ -z $wheelhouse ]] || fail "two wheelhouses: $wheelhouse and $1" 'give one'
      wheelhouse=$1
      ;;
  esac
  shift
done

# The user's own packages would shadow both JetPack's and the wheelhouse's, and what pip is
# configured for, such as another folder of wheels, would mix with the wheelhouse.
unset PYTHONPATH PYTHONHOME "${!PIP_@}"
export PYTHONNOUSERSITE=1 PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

listed() { cut -c 67- "$wheelhouse/SHA256SUMS" | LC_ALL=C sort; } # names, behind a digest each

check_wheelhouse() {
  local again='copy it again, whole: the folder that wheelhouse.sh made' odd
  [[ -n $wheelhouse ]] || fail 'no wheelhouse given' 'see install.sh --help'
  [[ -d $wheelhouse ]] || fail "$wheelhouse is no folder" 'make one with wheelhouse.sh'
  wheelhouse=$(realpath "$wheelhouse")
  [[ -f $wheelhouse/SHA256SUMS ]] ||
    fail "$wheelhouse has no SHA256SUMS: it is no wheelhouse, or a part of one" "$again"
  # What it prints are the names of damaged and missing files.
  odd=$(cd "$wheelhouse" && LC_ALL=C sha256sum --check --strict --quiet SHA256SUMS 2>/dev/null) ||
    fail "$wheelhouse is not what wheelhouse.sh made: ${odd:-SHA256SUMS is damaged}" "$again"
  odd=$(cd "$wheelhouse" && find . -mindepth 1 ! -name SHA256SUMS -printf '%P\n' |
    LC_ALL=C sort | LC_ALL=C comm -23 - <(listed))
  [[ -z $odd ]] || fail "$wheelhouse holds what SHA256SUMS does not list: $odd" "$again"
  wheel=$(listed | grep '^cspine-.*\.whl$') ||
    fail "$wheelhouse has no wheel of cspine" 'make it with wheelhouse.sh'
}

check_machine() {
  if [[ -r /etc/nv_tegra_release ]]; then
    printf 'Jetson Linux: %s\n' "$(head -n 1 /etc/nv_tegra_release)"
  elif [[ $elsewhere == yes ]]; then
    printf 'not a Jetson: /etc/nv_tegra_release is missing; going on as asked\n'
  else
    fail 'this is no Jetson: /etc/nv_tegra_release is missing' \
      'run it on the Jetson, or add --not-a-jetson'
  fi
}

check_python() {
  local here there
  command -v "$python" >/dev/null || fail "no $python" 'sudo apt-get install python3'
  "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' ||
    fail "$("$python" --version) found, cspine needs 3.10 to 3.13" 'use JetPack 6 or newer'
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python cannot make virtual environments" 'sudo apt-get install python3-venv'
  # As the first line of constraints.txt has it.
  here=$("$python" -c 'import platform as p; print("# Python %s.%s" % p.python_version_tuple()[:2],
    "on", p.machine())')
  there=$(head -n 1 "$wheelhouse/constraints.txt")
  [[ $here == "$there" ]] ||
    fail "the wheelhouse is for ${there#\# }, this is ${here#\# }" \
      'make one for this: wheelhouse.sh --python-version, --machine'
}

check_tensorrt() {
  local nvcc
  [[ $tensorrt == yes ]] || return 0
  "$python" -c 'import sys, importlib.util as u; sys.exit(u.find_spec("tensorrt") is None)' ||
    fail "$python has no tensorrt" 'sudo apt-get install nvidia-jetpack, or leave --tensorrt out'
  listed | grep -q '^pycuda-.*\.whl$' && return 0
  export PATH="$PATH:/usr/local/cuda/bin"
  nvcc=$(command -v nvcc) && [[ -f ${nvcc%/bin/nvcc}/include/cuda.h ]] ||
    fail "pycuda is built from source, and CUDA's nvcc or its headers are missing" \
      'sudo apt-get install nvidia-jetpack, or make the wheelhouse on a board that has it'
}

check_prefix() {
  [[ -e $prefix ]] || return 0
  if [[ ! -f $prefix/pyvenv.cfg ]]; then
    [[ -d $prefix && -z $(ls -A "$prefix") ]] ||
      fail "$prefix exists and is no virtual environment" 'choose another --prefix'
    return 0
  fi
  grep -q '^include-system-site-packages = true' "$prefix/pyvenv.cfg" ||
    fail "$prefix does not see the system's packages" "remove $prefix and run this again"
  "$prefix/bin/python" -m pip --version >/dev/null 2>&1 ||
    fail "$prefix is damaged, or from another Python" "remove $prefix and run this again"
}

install_wheels() {
  local pip=("$prefix/bin/python" -m pip install --no-index) extra=''
  [[ $tensorrt == no ]] || extra='[tensorrt]'
  [[ -f $prefix/pyvenv.cfg ]] || "$python" -m venv --system-site-packages "$prefix"
  # Dependencies first: if one is missing, what was installed before still stands. The second
  # call is for a wheel of the version that is there already, which pip would leave out. The first
  # speaks: it may take minutes, and names what does not fit.
  "${pip[@]}" --find-links "$wheelhouse" --constraint "$wheelhouse/constraints.txt" \
    "$wheelhouse/$wheel$extra"
  "${pip[@]}" --quiet --no-deps --force-reinstall "$wheelhouse/$wheel"
  # cspine-build.service builds engines anew when this changes.
  sha256sum "$wheelhouse/$wheel" | cut -d ' ' -f 1 >"$prefix/wheel.sha256"
}

check_wheelhouse
check_machine
check_python
check_tensorrt
check_prefix
printf 'wheelhouse: SHA256SUMS has the digest %s\n' \
  "$(sha256sum "$wheelhouse/SHA256SUMS" | cut -d ' ' -f 1)"
install_wheels
printf 'installed %s in %s\n\n' "$("$prefix/bin/cspine" --version)" "$prefix"
"$prefix/bin/cspine" doctor

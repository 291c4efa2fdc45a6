#!/usr/bin/env bash
# Install cspine on a Jetson, into a virtual environment that sees JetPack's TensorRT.
# Run it again to upgrade or repair; nothing outside the prefix is written.
set -euo pipefail
umask 022 # root's umask may be stricter, but the service must be able to read this

usage() {
  cat <<'TEXT'
usage: install.sh [options] WHEEL

Installs the wheel of cspine into a virtual environment and runs `cspine doctor`.

  --prefix DIR       the environment [default: /opt/cspine]
  --find-links DIR   take every package from this folder and none from the network
  --tensorrt         also install the extra `tensorrt`: pycuda, which runs the engines
  --python EXE       the interpreter that JetPack's packages belong to [default: python3]
  --not-a-jetson     install here although this is no Jetson
  -h, --help         this text

Example:
  sudo ./install.sh --tensorrt --find-links wheelhouse wheelhouse/cspine-0.1.0-py3-none-any.whl

Exit status: 0 installed, 2 something is missing or wrong (nothing was changed), else pip's.
TEXT
}

fail() { # what was found; what to do
  printf 'install.sh: %s\n  to do: %s\n' "$1" "$2" >&2
  exit 2
}

prefix=/opt/cspine wheelhouse='' tensorrt=no python=python3 elsewhere=no wheel=''
while (($#)); do
  case $1 in
    --prefix | --find-links | --python)
      (($# > 1)) || fail "$1 needs a value" 'see install.sh --help'
      case $1 in
        --prefix) prefix=$2 ;;
        --find-links) wheelhouse=$2 ;;
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
      [[ -z $wheel ]] || fail "two wheels: $wheel and $1" 'give one'
      wheel=$1
      ;;
  esac
  shift
done

# The user's own packages would shadow both JetPack's and the wheelhouse's.
export PYTHONNOUSERSITE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

check_arguments() {
  [[ -n $wheel ]] || fail 'no wheel given' 'see install.sh --help'
  [[ ${wheel##*/} == cspine-*.whl && -f $wheel ]] ||
    fail "$wheel is no wheel of cspine" 'build one in the repository: python -m pip wheel --no-deps .'
  [[ -z $wheelhouse || -d $wheelhouse ]] ||
    fail "$wheelhouse is no folder" 'fill one as jetson/README.md says'
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
  command -v "$python" >/dev/null || fail "no $python" 'sudo apt-get install python3'
  "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' ||
    fail "$("$python" --version) found, cspine needs 3.10 to 3.13" 'use JetPack 6 or newer'
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python cannot make virtual environments" 'sudo apt-get install python3-venv'
}

has_pycuda() { [[ -n $wheelhouse ]] && compgen -G "$wheelhouse/pycuda-*.whl" >/dev/null; }

check_tensorrt() {
  [[ $tensorrt == yes ]] || return 0
  "$python" -c 'import sys, importlib.util as u; sys.exit(u.find_spec("tensorrt") is None)' ||
    fail "$python has no tensorrt" 'sudo apt-get install nvidia-jetpack, or leave --tensorrt out'
  has_pycuda && return 0
  export PATH="$PATH:/usr/local/cuda/bin"
  command -v nvcc >/dev/null ||
    fail 'pycuda is built from source and there is no nvcc' \
      'sudo apt-get install nvidia-jetpack, or put a wheel of pycuda into the wheelhouse'
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

install_wheel() {
  local pip=("$prefix/bin/python" -m pip) from=() wanted=$wheel
  [[ -z $wheelhouse ]] || from=(--no-index --find-links "$wheelhouse")
  [[ $tensorrt == no ]] || wanted="${wheel}[tensorrt]"
  [[ -f $prefix/pyvenv.cfg ]] || "$python" -m venv --system-site-packages "$prefix"
  # Dependencies first: if one is missing, what was installed before still stands. The second
  # call is for a wheel of the version that is there already, which pip would leave out.
  "${pip[@]}" install --quiet "${from[@]}" "$wanted"
  "${pip[@]}" install --quiet --no-index --no-deps --force-reinstall "$wheel"
  # cspine-build.service builds engines anew when this changes.
  sha256sum "$wheel" | cut -d ' ' -f 1 >"$prefix/wheel.sha256"
}

check_arguments
check_machine
check_python
check_tensorrt
check_prefix
wheel=$(realpath "$wheel")
install_wheel
printf 'installed %s in %s\n\n' "$("$prefix/bin/cspine" --version)" "$prefix"
"$prefix/bin/cspine" doctor

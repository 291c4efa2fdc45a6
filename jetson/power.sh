#!/usr/bin/env bash
# Record a Jetson's power mode, clocks and temperatures as JSON, to lie beside a latency record.
# It reads. Only --set changes anything, and says what.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: power.sh [--set ID]

Prints one JSON document: power mode, clocks, temperatures. What cannot be read is null, and
`notes` says why.

  --set ID     first change to the power mode of that number (see /etc/nvpmodel.conf); needs root
  -h, --help   this text

Example:
  sudo ./power.sh > before.json
  cspine bench BUNDLE --study STUDY --record latency.json
  sudo ./power.sh > after.json

Exit status: 0 recorded, 1 the mode was not taken, 2 bad usage or no nvpmodel.
TEXT
}

# Another root to read /etc, /proc and /sys from, such as a copy of a board's.
root=${SYSROOT:-}
notes=()
PATH=$PATH:/usr/sbin

fail() { # status; what was found; what to do
  printf 'power.sh: %s\n  to do: %s\n' "$2" "$3" >&2
  exit "$1"
}

string() { # $1 as a JSON string, null if it is empty
  local text=$1
  [[ -n $text ]] || {
    printf null
    return
  }
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\t'/\\t}
  printf '"%s"' "${text//[[:cntrl:]]/}"
}

number() { # $1 as a JSON number, null if it is none
  if [[ $1 =~ ^-?(0|[1-9][0-9]*)(\.[0-9]+)?$ ]]; then printf '%s' "$1"; else printf null; fi
}

content() { # of a file, empty if it cannot be read; the device tree ends its strings with NUL
  { tr -d '\0' <"$1"; } 2>/dev/null || true
}

list() { # the arguments between brackets, null if there are none
  local IFS=,
  if (($#)); then printf '[%s]' "$*"; else printf null; fi
}

power_mode() { # sets mode_name and mode_id
  local answer
  mode_name='' mode_id=''
  if ! command -v nvpmodel >/dev/null; then
    notes+=('power_mode: there is no nvpmodel')
  elif answer=$(nvpmodel -q 2>/dev/null); then
    mode_name=$(sed -n 's/^NV Power Mode: *//p' <<<"$answer")
    mode_id=$(sed -n '/^[0-9][0-9]*$/p' <<<"$answer" | head -n 1)
  else
    notes+=('power_mode: nvpmodel -q failed; run this as root')
  fi
}

jetson_clocks_text() { # sets clocks_text
  clocks_text=''
  if ! command -v jetson_clocks >/dev/null; then
    notes+=('jetson_clocks: there is no jetson_clocks')
  elif ! clocks_text=$(jetson_clocks --show 2>/dev/null); then
    clocks_text=''
    notes+=('jetson_clocks: jetson_clocks --show failed; run this as root')
  fi
}

cpu_clocks() { # sets cpus
  local folder
  cpus=()
  for folder in "$root"/sys/devices/system/cpu/cpu[0-9]*/cpufreq; do
    [[ -d $folder ]] || continue
    cpus+=("$(printf '{"cpu":%s,"governor":%s,"current_khz":%s,"minimum_khz":%s,"maximum_khz":%s}' \
      "$(number "$(basename "$(dirname "$folder")" | tr -dc 0-9)")" \
      "$(string "$(content "$folder/scaling_governor")")" \
      "$(number "$(content "$folder/scaling_cur_freq")")" \
      "$(number "$(content "$folder/scaling_min_freq")")" \
      "$(number "$(content "$folder/scaling_max_freq")")")")
  done
  ((${#cpus[@]})) || notes+=('cpu_clocks: no cpufreq under /sys')
}

device_clocks() { # sets devices: the GPU and other units that scale their clock
  local folder
  devices=()
  for folder in "$root"/sys/class/devfreq/*; do
    [[ -e $folder/cur_freq ]] || continue
    devices+=("$(printf '{"device":%s,"governor":%s,"current_hz":%s,"minimum_hz":%s,"maximum_hz":%s}' \
      "$(string "$(basename "$folder")")" \
      "$(string "$(content "$folder/governor")")" \
      "$(number "$(content "$folder/cur_freq")")" \
      "$(number "$(content "$folder/min_freq")")" \
      "$(number "$(content "$folder/max_freq")")")")
  done
  ((${#devices[@]})) || notes+=('device_clocks: no devfreq under /sys')
}

temperatures() { # sets zones; a zone that is switched off cannot be read
  local folder millidegrees degrees
  zones=()
  for folder in "$root"/sys/class/thermal/thermal_zone*; do
    [[ -d $folder ]] || continue
    millidegrees=$(content "$folder/temp")
    degrees=''
    if [[ $millidegrees =~ ^-?[0-9]+$ ]]; then
      degrees=$(LC_ALL=C awk -v t="$millidegrees" 'BEGIN { printf "%.3f", t / 1000 }')
    fi
    zones+=("$(printf '{"zone":%s,"celsius":%s}' \
      "$(string "$(content "$folder/type")")" "$(number "$degrees")")")
  done
  ((${#zones[@]})) || notes+=('temperatures: no thermal zone under /sys')
}

cooling() { # sets coolers; a state above 0 holds something back, or turns a fan
  local folder
  coolers=()
  for folder in "$root"/sys/class/thermal/cooling_device*; do
    [[ -d $folder ]] || continue
    coolers+=("$(printf '{"device":%s,"state":%s,"maximum":%s}' \
      "$(string "$(content "$folder/type")")" \
      "$(number "$(content "$folder/cur_state")")" \
      "$(number "$(content "$folder/max_state")")")")
  done
  ((${#coolers[@]})) || notes+=('cooling: no cooling device under /sys')
}

set_mode() {
  [[ $1 =~ ^[0-9]+$ ]] || fail 2 "power mode $1 is no number" 'see /etc/nvpmodel.conf for them'
  command -v nvpmodel >/dev/null ||
    fail 2 'there is no nvpmodel, so no power mode to set' 'run this on a Jetson'
  power_mode
  local before="${mode_id:-unknown} (${mode_name:-unknown})"
  # Some modes ask for a reboot; no answer means no.
  nvpmodel -m "$1" </dev/null >&2 || fail 1 "nvpmodel -m $1 failed" 'run this as root'
  notes=()
  power_mode
  [[ $mode_id == "$1" ]] ||
    fail 1 "the power mode is still $before" "it may need a reboot: sudo nvpmodel -m $1"
  printf 'power.sh: the power mode was %s, it is %s (%s)\n' "$before" "$mode_id" "$mode_name" >&2
}

case ${1-} in
  '') ;;
  -h | --help)
    usage
    exit 0
    ;;
  --set)
    (($# == 2)) || fail 2 '--set needs one number' 'see power.sh --help'
    set_mode "$2"
    ;;
  *) fail 2 "unknown option $1" 'see power.sh --help' ;;
esac

power_mode
jetson_clocks_text
cpu_clocks
device_clocks
temperatures
cooling
quoted=()
for note in "${notes[@]+"${notes[@]}"}"; do quoted+=("$(string "$note")"); done

cat <<JSON
{
  "format": 1,
  "jetson": $(string "$(content "$root/etc/nv_tegra_release" | head -n 1)"),
  "model": $(string "$(content "$root/proc/device-tree/model")"),
  "power_mode": {"id": $(number "$mode_id"), "name": $(string "$mode_name")},
  "jetson_clocks": $(string "$clocks_text"),
  "cpu_clocks": $(list "${cpus[@]+"${cpus[@]}"}"),
  "device_clocks": $(list "${devices[@]+"${devices[@]}"}"),
  "temperatures": $(list "${zones[@]+"${zones[@]}"}"),
  "cooling": $(list "${coolers[@]+"${coolers[@]}"}"),
  "notes": $(list "${quoted[@]+"${quoted[@]}"}")
}
JSON

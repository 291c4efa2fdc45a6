#!/usr/bin/env bash
# INT8 against FP32 of one bundle on every CPU backend, interleaved, as records.
# usage: latency.sh CSPINE BUNDLE STUDIES PREFIX
set -euo pipefail
cspine=$1 bundle=$2 studies=$3 prefix=$4
asked=()
for study in "$studies"/*; do
  asked+=(--study "$study")
  [ "${#asked[@]}" -lt 4 ] || break # two studies are as telling as more
done
verdict=0 # a void run is a record, too
for backend in onnxruntime openvino; do
  "$cspine" bench "$bundle" "${asked[@]}" --blocks 60 --backend "$backend" \
    --record "$prefix-$backend.json" || verdict=$?
done
[ "$verdict" -eq 0 ] || [ "$verdict" -eq 3 ]

#!/usr/bin/env bash
# The locked test of one bundle on every CPU backend; its verdicts become the records of its pipeline.
# usage: verify.sh CSPINE BUNDLE CASE_SET RECORDS
set -euo pipefail
cspine=$1 bundle=$2 cases=$3 records=$4
rm -rf "$bundle.evidence" # the demo's verdict, on fewer patients
verdict=0
for backend in onnxruntime openvino; do
  "$cspine" verify "$bundle" --set "$cases" --backend "$backend" || verdict=$?
done
mkdir -p "$records"
rm -f "$records"/*.json # of an older bundle
cp "$bundle.evidence"/*.json "$records"
exit "$verdict"

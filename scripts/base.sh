#!/bin/sh
# The recipe of record for a trunk on one GPU. Two machines: `prepare` needs the raw data and all packages, `train` needs
# Python with torch, numpy, tokenizers and safetensors, and OUT as `prepare` left it (carry tokenizer.json, shards/*.xz,
# shards/*.idx, shards/shards.json, rows/, dialogue/ and clean/report.json). `train` may be stopped and started again at any time.
#   scripts/base.sh prepare|train [CONFIG] [DATA] [OUT] [SECTION.KEY=VALUE ...]
# Rehearsal on a CPU: scripts/base.sh prepare configs/tiny.toml && scripts/base.sh train configs/tiny.toml
set -eu
cd "$(dirname "$0")/.."
part=${1:?prepare or train} config=${2:-configs/30m.toml} data=${3:-../shared/data}
out=${4:-runs/$(basename "$config" .toml)} python=${PYTHON:-.venv/bin/python}
[ $# -gt 4 ] && shift 4 || shift $#
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # on a CPU threads wait for each other wherever anything else runs
overrides=
for setting in "$@"; do overrides="$overrides --set $setting"; done

case $part in
    prepare) stages="corpus data mixture teaching.dialogue" ;;
    train) stages="pretrain finetune evaluate export" ;;
    *) echo "$part: say prepare or train" >&2; exit 2 ;;
esac
for stage in $stages; do
    # shellcheck disable=SC2086  # overrides are words on purpose
    "$python" -m "trainer.$stage" --config "$config" --data "$data" --out "$out" $overrides
done

#!/bin/sh
# The recipe of record for a trunk on one GPU. Two machines: `prepare` needs the raw data and all packages, `train` needs
# Python with torch, numpy, tokenizers and safetensors, and OUT as `prepare` left it (carry tokenizer.json, shards/*.xz,
# shards/*.idx, shards/shards.json, rows/, dialogue/ and clean/report.json). `train` may be stopped and started again at any time.
#   scripts/base.sh prepare|train [CONFIG] [DATA] [OUT] [SECTION.KEY=VALUE ...]
# prepare: clean text, tokenizer, reading rows, conversations; questions made from the clean text, judged by TEACHER.
# train:   TEACHER labels all those rows softly, the trunk is pretrained, learns both, is measured and exported.
# TEACHER is the folder of an encoder reader (models/base); TEACHER= makes do without one.
# Rehearsal on a CPU: scripts/base.sh prepare configs/tiny.toml && scripts/base.sh train configs/tiny.toml
set -eu
cd "$(dirname "$0")/.."
part=${1:?prepare or train} config=${2:-configs/30m.toml} data=${3:-../shared/data}
out=${4:-runs/$(basename "$config" .toml)} python=${PYTHON:-.venv/bin/python} teacher=${TEACHER-models/base}
[ $# -gt 4 ] && shift 4 || shift $#
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # on a CPU threads wait for each other wherever anything else runs
overrides=
for setting in "$@"; do overrides="$overrides --set $setting"; done

run() {
    module=$1
    shift
    # shellcheck disable=SC2086  # overrides are words on purpose
    "$python" -m "trainer.$module" --config "$config" --data "$data" --out "$out" $overrides "$@"
}

case $part in
    prepare)
        for stage in corpus data mixture teaching.dialogue; do run $stage; done
        if [ -n "$teacher" ]; then
            run synthesis.cutting
            run synthesize --set "synthesize.model=$teacher"
        fi
        ;;
    train)
        if [ -n "$teacher" ]; then run teaching.teacher --set "labels.teacher=$teacher"; fi
        run pretrain
        set --
        [ -f "$out/rows/synthetic.jsonl" ] && set -- --set "finetune.more=[\"$out/rows/synthetic.jsonl\"]"
        [ -n "$teacher" ] && set -- "$@" --set "finetune.labels=$out/labels/teacher.bin"
        for stage in finetune evaluate export; do run $stage "$@"; done
        ;;
    *) echo "$part: say prepare or train" >&2; exit 2 ;;
esac

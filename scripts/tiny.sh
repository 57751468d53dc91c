#!/bin/sh
# The whole chain with the tiny recipe, from raw text to a model folder in three layouts: under ten minutes on two cores.
#   scripts/tiny.sh [DATA] [OUT]     PYTHON=path chooses the interpreter; QUICK=1 learns for fewer steps (five minutes)
set -eu
cd "$(dirname "$0")/.."
data=${1:-../shared/data} out=${2:-runs/tiny} python=${PYTHON:-.venv/bin/python}
quick=
[ "${QUICK:-0}" = 0 ] || quick="--set pretrain.steps=60 --set finetune.steps=40 --set evaluate.most_rows=60"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # one thread: two would wait for each other wherever anything else runs

stage() {
    name=$1
    shift
    echo "== $name" >&2
    # shellcheck disable=SC2086  # overrides are words on purpose
    "$python" -m trainer.cli "$name" --config configs/tiny.toml "$@" $quick
}

for name in corpus tokenizer pretrain rows dialogue finetune evaluate; do
    stage "$name" --data "$data" --out "$out"
done
for layout in model huggingface gguf; do
    stage export --data "$data" --out "$out" --to "$layout"
done
# Questions from documents: the shipped reader judges them, for a tiny one knows too little.
stage passages --data "$data" --out "$out"
quick= stage synthesize "$out/passages.jsonl" --out "$out/rows/synthetic.jsonl" --model "${JUDGE:-models/base}"

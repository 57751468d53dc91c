#!/bin/sh
# The whole chain with the tiny recipe, from raw text to a model folder; minutes on two cores.
#   scripts/tiny.sh [DATA] [OUT]     PYTHON=path chooses the interpreter
set -eu
cd "$(dirname "$0")/.."
data=${1:-../shared/data} out=${2:-runs/tiny} python=${PYTHON:-.venv/bin/python}
for stage in corpus tokenizer pretrain finetune evaluate export; do
    "$python" -m trainer.cli "$stage" --config configs/tiny.toml --data "$data" --out "$out"
done

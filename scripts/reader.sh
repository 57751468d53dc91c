#!/usr/bin/env bash
# The shipped reader, models/base, from the data folder (DATA=path): about six hours on two cores.
# One thread a process: two threads wait for each other wherever anything else runs (docs/experiments.md).
set -euo pipefail
cd "$(dirname "$0")/.."
DATA=${DATA:-../shared/data}
export OMP_NUM_THREADS=1

# A course of which a later one takes over before its end: until_step CONFIG RUN STEP.
until_step() {
    trainer reader --config "configs/$1.toml" --data "$DATA" --out "runs/$2" &
    course=$!
    until [ -f "runs/$2/reader/step-$3/state.json" ]; do
        kill -0 "$course" 2>/dev/null || { echo "$1 ended before step $3" >&2; exit 1; }
        sleep 5
    done
    kill "$course" && wait "$course" || true
}

# First half: 600 of the schedule's 1,050 steps; the rest of it would go on with rows that blur the choice of passages.
until_step reader reader 00000600

# Second half: twice with other seeds, side by side, then their mean.
trainer rows --config configs/reader-ranking.toml --data "$DATA" --out runs/rank-a
trainer reader --config configs/reader-ranking.toml --out runs/rank-a &
trainer reader --config configs/reader-ranking.toml --out runs/rank-b \
    --set reader.rows=runs/rank-a/rows/train.jsonl --set reader.seed=2 &
wait

# Longer courses from that mean: near misses as retrieval finds them, more questions by shorter stretches, changed questions.
trainer reader --config configs/reader-wide.toml --data "$DATA" --out runs/wide-a
until_step reader-deep deep 00000800
trainer reader --config configs/reader-changed.toml --data "$DATA" --out runs/changed
trainer reader --config configs/reader-final.toml --out runs/reader-final

# How sure an answer is, on held-out questions in libraries of their own; then the results and the card.
mkdir -p models/base
cp runs/reader-final/model/* models/base/
python -m benchmarks.fit_confidence --rows runs/changed/rows
python -m benchmarks.calibration --data "$DATA" --rows runs/changed/rows
python -m benchmarks.reader --data "$DATA"
python -m benchmarks.answers --data "$DATA"
python -m trainer.formats.reader_card --folder models/base --report runs/reader/rows/report.json \
    --report runs/rank-a/rows/report.json --report runs/wide-a/rows/report.json --report runs/changed/rows/report.json
python -m benchmarks.readme

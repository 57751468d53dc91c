"""Write the measured results into README.md: `python -m benchmarks.readme` (`--check` only compares).

Takes   benchmarks/results/*.json, which the benchmarks write.
Gives   the lines between `<!-- results -->` and `<!-- /results -->`; no number there is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS

README = Path(__file__).resolve().parent.parent / "README.md"
OPEN, CLOSE = "<!-- results -->", "<!-- /results -->"
NAMES = {"18F": "18F handbook", "sourcegraph": "Sourcegraph handbook", "filings": "12 quarterly filings (PDF)"}


def main() -> None:
    """Rewrite or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where the README differs from the results")
    given = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    fresh = with_results(text)
    if given.check:
        sys.exit("README.md differs from benchmarks/results: run python -m benchmarks.readme" if fresh != text else 0)
    README.write_text(fresh, encoding="utf-8")


def with_results(text: str) -> str:
    """The README with the results as they are now."""
    before, _, rest = text.partition(OPEN)
    _, _, after = rest.partition(CLOSE)
    return f"{before}{OPEN}\n{results()}{CLOSE}{after}"


def read(name: str) -> dict[str, Any]:
    """One result; empty where it was not measured yet."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def results() -> str:
    """Everything measured, as Markdown."""
    parts = [
        part
        for part in (
            answers(),
            speed(),
            calibration(),
            reader(),
            documents(),
            ingestion(),
            beside_peers(),
            searching(),
            training(),
        )
        if part
    ]
    return "\n".join(parts)


def source(found: dict[str, Any]) -> str:
    """Where a number comes from."""
    return f"`{found['command']}`, {found['date']}, {found['machine']}"


def answers() -> str:
    """Questions over real documents, all in one index."""
    found = read("answers")
    if not found:
        return ""
    rows = [
        "Questions over real documents, all in one index, in percent of the questions of a set; some of "
        "each set have no answer in the documents and should be refused. No weight or threshold was fitted on them; "
        "which witnesses are heard was chosen while looking at some.",
        "",
        "| questions over | n | right | wrong | refused | unanswerable refused | right document among 5 passages |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in found["sets"].items():
        shown = NAMES.get(name, "sixty, fixed beforehand")
        rows.append(
            f"| {shown} | {row['n']} | {row['right']} | {row['wrong']} | {row['refused']} | "
            f"{row['unanswerable_refused']} | {row['recall_at_5']} |"
        )
    if "handbooks" in found:
        ours, plain = found["handbooks"], found["plain_stack"]
        rows += [
            "",
            f"Of the answerable questions about the two handbooks {ours['right']}% are answered rightly and "
            f"{ours['wrong']}% wrongly, and {ours['unanswerable_refused']}% of the others are refused. In the same run "
            "a passage that holds the answer is among the first 5 of words and meaning in "
            f"{plain['passage_in_first_5']}%, among the first 20 in {plain['passage_in_first_20']}%; "
            "the sentence most like the question is right in "
            f"{plain['nearest_sentence_right']}%.",
        ]
    return "\n".join([*rows, "", source(found), ""])


def speed() -> str:
    """How quick answers are."""
    found = read("speed")
    if not found:
        return ""
    words = (
        f"Speed over {found['passages']:,} passages, {found['passages_read_median']:.0f} of them read for a question: "
        f"first words after {found['first_words_ms']:.0f} ms in the median, 95% of whole answers within "
        f"{found['answer_ms_p95']:.0f} ms, {found['startup_s']:.1f} s from starting `rag ask` to its answer, "
        f"{found['memory_mb']} MB at most, at a load of {found['load_before']:.0f} to "
        f"{found['load_after']:.0f}; an answer takes {found['answer_cpu_ms_median']:.0f} ms of a processor. "
    )
    if "beside_llama_cpp" in found:
        beside = found["beside_llama_cpp"]
        words += (
            f"A prompt of {beside['prompt_tokens']} tokens is read {beside['read_ratio']} times as fast as llama.cpp "
            f"reads it and spoken after at {beside['speak_ratio']} times its speed (the same trunk, in turns). "
        )
    return f"{words}{source(found)}\n"


def calibration() -> str:
    """Whether confidence means what it says."""
    found = read("calibration")
    if not found:
        return ""
    return (
        f"Confidence: asked of a library that holds half of their passages, {found['questions']} Wikipedia questions "
        f"show a calibration error of {found['calibration_error']}%, {found['right']}% of the answerable are right, "
        f"{found['wrong']}% wrong, and {found['unanswerable_refused']}% of the others are refused. {source(found)}\n"
    )


def reader() -> str:
    """The reader alone."""
    found = read("reader")
    if not found:
        return ""
    return (
        f"The reader alone, on sets it was never trained on: F1 {found['new_wiki_f1']:.1f} and exact match "
        f"{found['new_wiki_exact_match']:.1f} on {found['rows']:.0f} Wikipedia questions; the right passage among "
        f"five near ones in {found['evidence_of_5']:.1f}% (embedder alone: {found['evidence_of_5_embedder']:.1f}%); "
        f"balanced accuracy of answering or refusing, by its support alone, {found['refusal_balanced_accuracy']:.1f}%. "
        f"{source(found)}\n"
    )


def documents() -> str:
    """All real documents ingested."""
    found = read("documents")
    if not found:
        return ""
    kinds = ", ".join(f"{count} {kind or 'without suffix'}" for kind, count in found["failed_kinds"].items())
    return (
        f"Ingesting {found['files']} real files of 25 kinds: {found['passages']} passages in {found['minutes']} "
        f"minutes, peak memory {found['peak_gib']} GiB, {found['pages_without_text']} pages without text, "
        f"{found['statuses'].get('failed', 0)} files refused with a reason ({kinds}). {source(found)}\n"
    )


def ingestion() -> str:
    """Ingestion against plain embedding."""
    found = read("ingest_vs_embedding")
    if not found:
        return ""
    return (
        f"Ingesting {found['files']} handbook pages ({found['passages']} passages) takes {found['ratio']} of the time "
        f"of embedding the same passages with sentence-transformers in fp32. {source(found)}\n"
    )


def beside_peers() -> str:
    """Ingestion beside other products."""
    found = read("ingest")
    if not found:
        return ""
    told = ", ".join(
        f"{name} {row['passages_per_s']:.0f} passages/s in {row['peak_mb'] / 1000:.1f} GB"
        for name, row in found["products"].items()
    )
    return (
        f"From {found['files']} pages to an index on disk {found['ratio_default']:.1f} times as fast as the fastest of "
        f"four peers ({found['best_peer']}) and {found['ratio_fast']:.1f} times with `[fast]`; nDCG@10 of the vectors "
        f"differs by {found['ndcg_difference']:+.4f} and {found['ndcg_difference_fast']:+.4f}. Median of three rounds: "
        f"{told}. {source(found)}\n"
    )


def searching() -> str:
    """Searches in large libraries."""
    found = read("query")
    if not found:
        return ""
    whole = found["1m"]["against_exact"]["whole"]
    return (
        f"Searching by words and meaning, the question's embedding included: 95% within {found['p95_ms_100k']} ms in "
        f"100,000 passages and {found['p95_ms_1m']} ms in a million (most with noisy copies of real vectors), which "
        f"is reopened in {found['reopen_s_1m']} s; of the ten nearest vectors {whole['recall_at_10']:.1%} are found. "
        f"One changed document among 10,000 takes {found['change_s_10k']} s, and memory grows by "
        f"{found['memory_growth_mb']} MB in {found['100k']['searches']} searches. {source(found)}\n"
    )


def training() -> str:
    """Pretraining beside transformers.Trainer."""
    found = read("train")
    if not found:
        return ""
    return (
        f"Pretraining a model of {found['parameters']['ours'] / 1e6:.0f} million parameters on {found['threads']} "
        f"thread(s): {found['ratio_to_trainer']:.1f} times the tokens a second of `transformers.Trainer` with its "
        f"defaults, same layout, data and steps, the two taking turns, at {found['loss_ratio']:.2f} of its held-out "
        f"loss after {found['steps']} steps. {source(found)}\n"
    )


if __name__ == "__main__":
    main()

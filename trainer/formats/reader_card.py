"""The card of an encoder reader: what it is made of, what it cost, how it scores.

    trainer reader ─► plain      any reader: base, cost, licences of its rows, threshold
    python -m trainer.formats.reader_card --folder models/base --report runs/reader/rows/report.json
                   ─► card       the shipped one, whose making it tells, with its benchmarks

Takes   for the shipped one its folder, the reports of the rows it learnt from, and results of benchmarks as JSON.
Gives   README.md in the folder.
Refuses a folder without config.json.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer import files
from trainer.formats import checksums
from trainer.formats.trunk_card import table
from trainer.reading import read_config

SOURCES = {
    "squad_part": "Wikipedia questions with spans and adversarial unanswerable ones",
    "new_wiki": "Wikipedia questions with spans",
    "adversarial_mix": "questions written to mislead a reader",
    "search_questions": "questions that people typed into a search engine",
    "medical_articles": "questions over medical articles, long spans",
    "question_to_passage_medical": "medical questions with a passage as answer",
    "policies": "questions over privacy policies",
    "reddit": "questions over forum posts",
    "amazon_reviews": "questions over product reviews",
    "handbooks": "mined from headings and lists of handbooks",
    "documentation": "mined from product documentation",
    "manuals": "mined from manuals",
    "textbooks": "mined from textbooks",
}
SCORES = {
    "new_wiki_f1": "F1, Wikipedia questions not in training (qa/eval/new_wiki), the gold passage read alone",
    "new_wiki_exact_match": "exact match, the same",
    "evidence_of_5": "right passage among five (one gold, four BM25 near misses), percent",
    "evidence_of_5_embedder": "the same by the embedder alone, percent",
    "refusal_balanced_accuracy": "balanced accuracy, answer or refuse, by support alone (long_answers_and_refusals), %",
    "risk_coverage_area": "area under the risk-coverage curve there (lower is better)",
    "calibration_error": "expected calibration error of the confidence, new_wiki asked in a library, half removed, %",
}


SPENT = ["steps", "tokens", "hours", "kWh", "how the energy is known", "precision"]


def plain(config: Mapping[str, Any], licences: Mapping[str, int], *, base: str) -> str:
    """The card that `trainer reader` writes. config: what its config.json holds; licences: rows of each."""
    spent, fitted = config["training"], config["calibration"]
    cost = [
        f"{spent['step']:,}",
        f"{spent['tokens']:,}",
        f"{spent['seconds'] / 3600:.2f}",
        f"{spent['joules'] / 3.6e6:.4f}",
        spent["energy_method"],
        spent["precision"],
    ]
    terms = ", ".join(f"{name} ({count:,})" for name, count in licences.items()) or "not known"
    return f"""# {config["name"]}

A reader for passages: given a question and passages it says which passage answers, with which words, and whether any
does. It writes nothing of its own, and it errs: show the quoted words with every answer.

Started from the encoder `{base}` and fine-tuned by `trainer reader`. The licence of the weights is for their maker to
state; the base's and those of the rows bear on it.

{table(SPENT, [cost])}

Licences of the rows: {terms}.

Answers are given from support {config["threshold"]}. On the {fitted["readings"]:,} dev readings by which that was
chosen {100 * fitted["right"]:.1f}% are answered rightly, {100 * fitted["wrong"]:.1f}% wrongly and
{100 * fitted["refused"]:.1f}% refused; figures by which a threshold was chosen flatter. Not measured otherwise:
`trainer evaluate` does.
"""


def card(config: dict[str, Any], reports: list[dict[str, Any]], results: Path) -> str:
    """The model card as Markdown."""
    counts: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    for report in reports:
        for name, count in report["train"].items():
            counts[name] = max(counts[name], count)
        licences.update(report["licences"])
    spent = config["training"]
    reader = _read(results / "calibration.json") | _read(results / "reader.json")
    answers = _read(results / "answers.json")
    scores = [[text, f"{reader[name]:.1f}" if reader[name] > 1 else f"{reader[name]:.3f}"]
              for name, text in SCORES.items() if name in reader]  # fmt: skip
    sets = [
        [name, str(row["n"]), str(row["right"]), str(row["wrong"]), str(row["refused"])]
        for name, row in answers.get("sets", {}).items()
    ]
    terms = ", ".join(f"{name or 'unstated'} ({count:,})" for name, count in licences.most_common())
    known = [found for found in (reader, answers) if found]
    measured = ", ".join(f"`{found['command']}` ({found['date']}, {found['machine']})" for found in known)
    fitted = config.get("confidence_fit", {})
    return f"""# {config["name"]}

A reader for passages: a MiniLM encoder of 6 layers, width {config["encoder"]["width"]}, with two linear heads (22.7
million parameters, of which 10.6 million were fine-tuned). Given a question and passages it says which passage answers,
with which words, and whether any does. It writes nothing of its own. Licence of the weights: Apache-2.0.

Meant for finding the answer to a question in passages of a company's documents, in English. Not for facts from memory,
not for advice, not for other languages. It errs: the product shows the quoted words with every answer for that reason.

## Origin and training

Started from all-MiniLM-L6-v2 (Apache-2.0, sentence-transformers, revision 1110a243), whose word vectors stay as they
were. Fine-tuned by `trainer reader` in five courses: `configs/reader.toml` (600 of 1,050 steps),
`configs/reader-ranking.toml` (400 steps, twice with other seeds, then averaged), `configs/reader-wide.toml` (780),
`configs/reader-deep.toml` (800 of 1,200) and `configs/reader-changed.toml` (430); `configs/reader-final.toml` exports.
docs/experiments.md tells why.

{
        table(
            ["steps", "tokens", "hours of one core", *SPENT[3:]],
            [
                [
                    f"{spent['step']:,}",
                    f"{spent['tokens']:,}",
                    f"{spent['seconds'] / 3600:.2f}",
                    f"{spent['joules'] / 3.6e6:.4f}",
                    spent["energy_method"],
                    spent["precision"],
                ]
            ],
        )
    }

## Data

{table(["set", "most rows in a course", "what"], [[n, f"{c:,}", SOURCES.get(n, "")] for n, c in counts.most_common()])}

Licences of the rows, in all courses together: {terms}.
Rows whose text shares 13 words in a row with an evaluation set, or with the documents kept for evaluation, were removed
before training; the check of the first two courses could not read every evaluation file, so five of their rows
share such a stretch. No non-commercial source is included; share-alike texts are.

## Confidence and threshold

Answers are given from confidence {config.get("answer_threshold", config["threshold"])}; confidence is a logistic
function of the span's probability, the likeness of question and answer, the lead over the next passage and how many
passages agree. {f"{fitted['how']}" if fitted else ""}
The files named below had no part in it. A single passage is judged by support: answered from {config["threshold"]}.

## Scores

{table(["measure", "value"], scores)}

Questions over real documents, all in one index, in percent:

{table(["questions", "n", "right", "wrong", "refused"], sets)}

Commands: {measured}
"""


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def main() -> None:
    """Write the card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="model folder")
    parser.add_argument("--report", type=Path, action="append", default=[], help="report.json of training rows")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    reports = [_read(path) for path in given.report]
    files.write_text(given.folder / "README.md", card(read_config(given.folder), reports, given.results))
    checksums.write(given.folder)


if __name__ == "__main__":
    main()

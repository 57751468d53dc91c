"""Are lists, comparisons, steps, summaries and definitions right? `make bench-tasks`, or `python -m benchmarks.tasks`.

Takes   the data folder with documents/handbooks and documents/filings, our example handbook, and the sixty tasks of
        benchmarks/questions/tasks.jsonl. All documents stand in one index; where that of `make bench-answers` is there
        already, its documents are taken over instead of being read again.
Gives   for each kind of task: done (all expected pieces said, of a summary `need` of them, and a document that holds
        them cited; for what cannot be done, refused with the reason), the share of pieces said, whether every line is a
        quotation, the share of named documents cited, and the time. All rows as JSON under --out, last one JSON object.
With `--ordinary`, the handbooks' 640 questions too: how many are taken for a task, and whether that changed them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rag
from benchmarks.answers import HANDBOOKS, question_sets
from benchmarks.record import record
from rag.metrics import percent, right
from rag.tasks import recognise
from rag.types import Answer

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = ROOT / "benchmarks" / "questions" / "tasks.jsonl"
_NUMBER = re.compile(r"\s*\[(\d{1,3})\]$")


def main() -> None:
    """Ingest what is not ingested yet, ask, score, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--index", type=Path, default=ROOT / "indexes" / "bench-tasks")
    parser.add_argument(
        "--from-index", type=Path, default=ROOT / "indexes" / "bench-answers", help="taken over if there"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "tasks")
    parser.add_argument("--ordinary", action="store_true", help="also the handbooks' questions that look like tasks")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    take_over(given.from_index, given.index)
    with rag.open(given.index) as library:
        add_documents(library, given.data / "documents")
        rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
        library.warm()
        judged = [judge(row, ask(library, row["question"])) for row in rows]
        model = str(library.status()["model"])
        taken = ordinary(library, given.data) if given.ordinary else None
    (given.out / "tasks.json").write_text(json.dumps(judged, ensure_ascii=False, indent=1), encoding="utf-8")
    result = report(judged) | {"model": model} | ({"ordinary": taken} if taken else {})
    for kind, found in result["kinds"].items():
        sys.stdout.write(f"{kind:10} " + "  ".join(f"{name} {value}" for name, value in found.items()) + "\n")
    record("tasks", result)
    sys.stdout.write(json.dumps(result) + "\n")


def take_over(old: Path, new: Path) -> None:
    """Begin the new index with the documents of the old one, so that their passages are not embedded again."""
    if new.exists() or not (old / "catalogue.db").exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "library.zip"
        with rag.open(old) as library:
            library.backup(copy)
        with rag.open(new) as library:
            library.restore(copy)


def add_documents(library: rag.Library, documents: Path) -> None:
    """The handbooks, the filings and our own example; what is there already costs nothing."""
    folders = [path for path in sorted((documents / "handbooks").iterdir()) if path.is_dir()]
    for paths in (folders, sorted((documents / "filings").glob("*.pdf")), [ROOT / "examples" / "handbook"]):
        failed = [file for file in library.add(list(paths)) if file.status == "failed"]
        sys.stderr.write("".join(f"{file.document}: {file.reason}\n" for file in failed))


def ask(library: rag.Library, question: str) -> Answer:
    """The answer; the audit is told that no person asked."""
    *_, done = library.stream(question, purpose="evaluated")
    answer = done.answer  # type: ignore[union-attr]
    for cited in answer.citations:
        document = library.document(cited.document, cited.version)
        if document.text[cited.start : cited.end] != cited.quote:
            raise AssertionError(f"{question}: {cited.document} {cited.start}:{cited.end} does not say what is quoted")
    return answer


def plain(words: str) -> str:
    """Letters and figures alone, so that layout does not count.

    >>> plain("Country: Italy | Lunch: 21"), plain("- Country: Italy;  Lunch: 21")
    ('country italy lunch 21', 'country italy lunch 21')
    """
    return " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", words).casefold()))


def unquoted(answer: Answer) -> list[str]:
    """Numbered lines of which not even the part after the label stands in the quotation of that number."""
    found = []
    for line in answer.text.splitlines():
        number = _NUMBER.search(line)
        if not number:
            continue
        quote = plain(answer.citations[int(number.group(1)) - 1].quote)
        said = _NUMBER.sub("", line).lstrip("- ")
        tails = [said, *(said[cut.end() :] for cut in re.finditer(r"(?:: |^\d+\. )", said))]
        if not any(plain(tail) and plain(tail) in quote for tail in tails):
            found.append(line)
    return found


def judge(row: dict[str, Any], answer: Answer) -> dict[str, Any]:
    """One task with what was said and how that compares with what was expected."""
    said = [any(plain(one) in plain(answer.text) for one in ([piece] if isinstance(piece, str) else piece))
            for piece in row["pieces"]]  # fmt: skip
    cited = {citation.document for citation in answer.citations}
    documents = [name for name in row["documents"] if name in cited]
    task = recognise(row["question"])
    if row["task"] == "cannot":
        done = answer.abstained and task is not None and answer.reason == task.reason
    else:
        least = row.get("need", len(said))
        enough = len(documents) == len(row["documents"]) if task and task.kind == "count" else bool(documents)
        done = not answer.abstained and sum(said) >= least and (enough or not row["documents"])
    loose = unquoted(answer)
    return {
        **row,
        "kind": task.kind if task else None,
        "done": done,
        "said": said,
        "missing": [piece for piece, there in zip(row["pieces"], said, strict=True) if not there],
        "documents_cited": documents,
        "unquoted": loose,
        "quoted": not loose and (bool(answer.citations) or answer.abstained),
        "answer": answer.text,
        "reason": answer.reason,
        "notices": list(answer.notices),
        "citations": len(answer.citations),
        "milliseconds": round(answer.timings_ms["total"], 1),
    }


def report(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The counts, in percent, of all tasks and of each kind."""
    kinds = {
        kind: _counts([row for row in rows if row["task"] == kind]) for kind in dict.fromkeys(r["task"] for r in rows)
    }
    times = sorted(row["milliseconds"] for row in rows)
    return {**_counts(rows), "p95_ms": times[int(0.95 * (len(times) - 1))], "kinds": kinds}


def _counts(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    pieces = [there for row in rows for there in row["said"]]
    named = [row for row in rows if row["documents"]]
    times = sorted(row["milliseconds"] for row in rows)
    return {
        "n": len(rows),
        "done": percent(sum(row["done"] for row in rows), len(rows)),
        "pieces": percent(sum(pieces), len(pieces)),
        "quoted": percent(sum(row["quoted"] for row in rows), len(rows)),
        "cited": percent(
            sum(len(row["documents_cited"]) for row in named), sum(len(row["documents"]) for row in named)
        ),
        "refused": percent(sum(row["reason"] is not None for row in rows), len(rows)),
        "median_ms": times[len(times) // 2],
    }


def ordinary(library: rag.Library, data: Path) -> dict[str, Any]:
    """Of the handbooks' questions, those that are taken for a task, and how they are answered then."""
    sets = question_sets(data)
    rows = [row for name in HANDBOOKS for row in sets[name]]
    taken = []
    for row in rows:
        task = recognise(row["question"])
        if task is None:
            continue
        answer = ask(library, row["question"])
        outcome = "refused" if answer.abstained else "right" if right(answer.text, row["answers"]) else "wrong"
        taken.append(
            {"question": row["question"], "kind": task.kind, "answerable": row["answerable"], "outcome": outcome}
        )
    return {"n": len(rows), "taken": len(taken), "rows": taken}


if __name__ == "__main__":
    main()

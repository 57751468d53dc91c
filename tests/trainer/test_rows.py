"""Reading rows: what they are made of, and what never gets into them."""

from __future__ import annotations

import json
import zipfile

import pytest

from tests.trainer.office import question, write_jsonl
from trainer import mixture
from trainer.errors import DataError
from trainer.recipe import Recipe
from trainer.rows import LONGEST, ReadingRow, question_file, read_rows

SECRET = "Whoever finds the green umbrella of the chairman brings it to the porter and is given a bar of chocolate."


def made(data, *rows, **settings):
    """The rows of a run over one question file, and its report."""
    write_jsonl(data / "qa" / "train" / "ours.jsonl", [question(seed) for seed in range(6)] + list(rows))
    settings = {"mined": {}, "dev_one_in": 1_000_000, **settings}
    folder = mixture.make(Recipe("test", data, data / "out", {"rows": settings}))
    lines = (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines], json.loads((folder / "report.json").read_text(encoding="utf-8"))


def asked(text, answer="the porter"):
    return {"question": "Who is given it?", "context": text, "answers": [{"text": answer, "start": text.index(answer)}]}


@pytest.mark.parametrize("name", ["a.md", "deep/b.html", "c.docx", "d.jsonl"])
def test_what_evaluation_holds_in_any_format_is_in_no_row(tmp_path, name):
    path = tmp_path / "documents" / name
    path.parent.mkdir(parents=True)
    if path.suffix == ".docx":
        with zipfile.ZipFile(path, "w") as box:
            box.writestr("word/document.xml", f"<w:document><w:p><w:r>{SECRET}</w:r></w:p></w:document>")
    elif path.suffix == ".jsonl":
        path.write_text(json.dumps({"text": SECRET}))
    else:
        path.write_text(f"<p>{SECRET.replace('finds', '<b>finds</b>')}</p>" if path.suffix == ".html" else SECRET)
    rows, report = made(tmp_path, asked(f"A rule of the house. {SECRET}"))
    assert len(rows) == 6
    assert not any("umbrella" in text for row in rows for _, text in row["sources"])
    assert report["dropped_for_overlap"] == {"ours": 1}
    assert report["evaluation_files_not_read"] == {}


def test_a_question_that_stands_in_an_evaluation_set_is_in_no_row(tmp_path):
    write_jsonl(tmp_path / "qa" / "eval" / "set.jsonl", [{"question": SECRET, "context": "A porter."}])
    text = "Ask the porter at the gate."
    rows, _ = made(tmp_path, {**asked(text), "question": SECRET})
    assert len(rows) == 6


def test_an_answer_longer_than_a_source_teaches_nothing_rather_than_to_refuse(tmp_path):
    long = " ".join(f"Step {n} is taken by the porter." for n in range(60))
    assert len(long) > LONGEST
    rows, _ = made(tmp_path, asked(f"Before. {long} After.", long))
    assert len(rows) == 6
    assert all(row["spans"] for row in rows)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{half", r"ours\.jsonl, line 2: not JSON"),
        ('{"question": "Why?", "sources": [], "spans": [], "domain": ""}', "line 2: ValueError: sources are empty"),
        ('{"question": "Why?", "sources": [["", "So."]], "spans": [[2, 9]], "domain": ""}', "line 2: .* lie outside"),
        ('{"question": "Why?", "spans": [], "domain": ""}', "line 2: KeyError: 'sources'"),
        ("[1]", "line 2: TypeError"),
    ],
)
def test_a_line_that_is_no_reading_row_is_named(tmp_path, line, message):
    good = {"question": "Why?", "sources": [["", "So."]], "spans": [[0, 2]], "domain": ""}
    (tmp_path / "ours.jsonl").write_text(f"{json.dumps(good)}\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_rows(tmp_path / "ours.jsonl")


@pytest.mark.parametrize(
    "row", [{"answerable": False}, {"question": "Why?", "context": "So.", "answers": ["So."]}, [1]]
)
def test_a_line_that_is_no_question_is_named(tmp_path, row):
    (tmp_path / "ours.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"ours\.jsonl, line 1: "):
        list(question_file(tmp_path / "ours.jsonl", seed=1))


HANDBOOK = """# Keys

## Lost keys

Report a lost key to Ann Okafor at ann.okafor@corp-of-ours.com within 12 hours. Whoever loses a key pays 30 pounds.

## Who may hold a key?

Clerks of the old mill and their managers hold a key; visitors ask at ann.okafor@corp-of-ours.com.
"""


def test_questions_mined_from_raw_text_hold_no_personal_data(tmp_path):
    write_jsonl(tmp_path / "pretrain" / "handbooks.jsonl", [{"text": HANDBOOK, "licence": "CC0-1.0"}])
    rows, _ = made(tmp_path, mined={"handbooks": 10})
    own = [row for row in rows if row["domain"] == "handbooks"]
    assert {row["licence"] for row in own} == {"CC0-1.0"}
    assert any("name@example.org" in row["sources"][0][1] for row in own)
    assert not any("ann.okafor" in text for row in rows for _, text in row["sources"])


def test_raw_text_that_is_none_is_named(tmp_path):
    write_jsonl(tmp_path / "pretrain" / "handbooks.jsonl", [{"words": "no text"}])
    with pytest.raises(DataError, match=r"handbooks\.jsonl, line 1: no object with a text"):
        made(tmp_path, mined={"handbooks": 10})


def test_changed_questions_name_what_stands_in_no_source_and_are_rows_that_nothing_answers():
    known = [
        ReadingRow(f"How many days of leave do managers get in {place}?", (("", f"Managers get {n} days in {place}."),
                   ("", f"Visitors to {place} sign in. Ask in Braga or in Evora.")), ((13, 15),), "office")
        for n, place in enumerate(["Lisbon", "Porto", "Faro", "Coimbra"], start=10)
    ]  # fmt: skip
    found = mixture.unanswerable(known, mixture.RowsConfig(altered=0.5))
    assert len(found) == 2
    for row in found:
        own = next(one for one in known if one.sources == row.sources)
        assert row.spans == ()
        [changed] = set(row.question.split()) - set(own.question.split())
        assert not any(changed.strip("?").lower() in text.lower() for _, text in row.sources)
    assert mixture.unanswerable(known[::-1], mixture.RowsConfig(altered=0.5)) == found
    assert mixture.unanswerable(known, mixture.RowsConfig()) == []

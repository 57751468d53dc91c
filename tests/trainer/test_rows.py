"""Reading rows: what they are made of, and what never gets into them."""

from __future__ import annotations

import json
import zipfile

import pytest

from tests.trainer.office import question, write_jsonl
from trainer import mixture
from trainer.recipe import Recipe

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

"""What the report says of a corpus, and what `trainer tokenizer` says of its tokens."""

from __future__ import annotations

import json

import pytest

from tests.trainer.office import page, write_jsonl
from trainer import corpus as stage
from trainer import data
from trainer.cleaning import pace
from trainer.cleaning.quality import Words
from trainer.cleaning.traits import ease_band, traits
from trainer.corpus import corpus
from trainer.recipe import Recipe

HARD = (
    "Notwithstanding considerable administrative heterogeneity, multinational organisations institutionalise "
    "interdepartmental accountability mechanisms, necessitating comprehensive documentation procedures. "
)


def plan(folder, **sections):
    return Recipe("test", folder, folder / "out", sections)


@pytest.fixture
def made(tmp_path):
    """Two domains of different size, language and licence, cleaned with a page."""
    notes = [{"text": f"{page(s)} Opened in 19{s + 60}.", "source": f"n{s}", "licence": "CC0"} for s in range(12)]
    notes.append({"text": "Too short & <b>odd</b>.", "source": "n12", "licence": "MIT"})
    write_jsonl(tmp_path / "raw" / "notes.jsonl", notes)
    write_jsonl(tmp_path / "raw" / "rules.jsonl", [{"text": page(90, 30), "source": "r0", "licence": "MIT"}])
    sources = {"notes": "raw/notes.jsonl", "rules": "raw/rules.jsonl"}
    return plan(
        tmp_path,
        corpus={"sources": sources, "workers": 1, "held_share": 0.0, "page": False},
        tokenizer={"vocabulary": 400},
    )


def test_the_report_says_what_is_over_and_under_represented_against_a_stated_reference(made):
    report = json.loads((corpus(made) / "report.json").read_text())
    domain = report["represented"]["domain"]
    assert domain["reference"] == "equal shares of all domains"
    verdicts = {row["band"]: (row["verdict"], row["reference"]) for row in domain["bands"]}
    assert verdicts == {"notes": ("over", 0.5), "rules": ("under", 0.5)}
    assert sum(row["kept"] for row in domain["bands"]) == pytest.approx(1, abs=1e-3)
    licence = {row["band"]: row for row in report["represented"]["licence"]["bands"]}
    assert report["represented"]["licence"]["reference"] == "the text as found"
    assert licence["MIT"]["found"] > licence["MIT"]["kept"] > 0.1
    assert {row["band"] for row in report["represented"]["age"]["bands"]} == {"1960-1969", "1970-1979", "no year"}
    assert set(report["represented"]) == {"domain", "language", "licence", "length in words", "ease of reading", "age"}


def with_page(made):
    return plan(made.data, corpus={**made.sections["corpus"], "page": True})


def test_the_page_is_whole_escaped_and_shows_what_went(made):
    made = with_page(made)
    text = (corpus(made) / "report.html").read_text()
    for part in (
        "13 of 14 documents were kept",
        "too few words",
        "&lt;b&gt;odd&lt;/b&gt;",
        "<svg",
        "Clean text by age",
    ):
        assert part in text
    assert "<b>odd" not in text
    tables = text.split("<table")
    assert not any("commonest reasons" in table and "MB kept" in table for table in tables)  # too wide for a phone
    assert any("commonest reasons" in table and "too few words 1" in table for table in tables)
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_without_matplotlib_the_text_is_cleaned_all_the_same(made, monkeypatch, capsys):
    monkeypatch.setattr(stage, "find_spec", lambda name: None)
    folder = corpus(with_page(made))
    assert (folder / "report.json").is_file()
    assert not (folder / "report.html").exists()
    assert "needs matplotlib" in capsys.readouterr().err


def test_the_tokenizer_reports_what_each_domain_costs(made, capsys):
    folder = corpus(made)
    assert data.tokenize(made) == made.out / "tokenizer.json"
    report = json.loads((made.out / "tokenizer.report.json").read_text())
    text = " ".join(json.loads(line)["text"] for line in (folder / "rules.train.jsonl").read_text().splitlines())
    rules = report["domains"]["rules"]
    assert rules["words"] == len(text.split())
    assert rules["bytes"] == len(text.encode())
    assert rules["tokens_per_word"] == pytest.approx(rules["tokens"] / rules["words"], abs=1e-3)
    assert 1.0 < rules["tokens_per_word"] < 5.0
    assert report["all"]["tokens"] == sum(domain["tokens"] for domain in report["domains"].values())
    assert "tokenizer  rules: " in capsys.readouterr().err


def test_traits_tell_hard_from_easy_and_long_from_short():
    easy = "The cat sat on the mat. It was a hot day. The dog ran to the sea. We had tea and ham. " * 4
    assert ease_band(easy).startswith("80")
    assert ease_band(HARD * 4).startswith("below 0")
    assert traits(easy, Words(easy))["length in words"] == "50-100"


def test_the_pace_says_share_rate_and_time_left():
    one = pace.Pace(200, name="corpus")
    one.file_ends(50)
    one.at(50)
    one.text = 30_000_000
    assert one.line(60.0, "notes") == "corpus  notes:  50% read, 30 MB of text, 0.50 MB/s, 1 min 00 s left"

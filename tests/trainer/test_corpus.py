"""Cleaning: what goes, why, and that nothing used for measuring is learnt."""

from __future__ import annotations

import json
import lzma
import zipfile

import pytest

from tests.trainer.office import page, write_jsonl
from trainer.cleaning import plain, quality, sources
from trainer.cleaning.quality import QualityConfig, Words, broken_rule
from trainer.corpus import corpus
from trainer.errors import DataError
from trainer.recipe import Recipe


def run(data, tmp_path, **settings):
    """Clean one domain; gives its texts and the report."""
    settings = {"sources": {"notes": "raw/*"}, "workers": 1, "held_share": 0.0, "page": False, **settings}
    folder = corpus(Recipe("test", data, tmp_path / "out", {"corpus": settings}))
    texts = [json.loads(line)["text"] for line in (folder / "notes.train.jsonl").read_text().splitlines()]
    return texts, json.loads((folder / "report.json").read_text())


SAME = ("documents", "kept", "dropped", "masked", "languages", "domains", "samples", "represented")


def put(data, *texts):
    write_jsonl(data / "raw" / "notes.jsonl", [{"text": text, "source": f"{i}"} for i, text in enumerate(texts)])


def test_what_shares_thirteen_words_with_an_evaluation_set_is_removed(tmp_path):
    secret = "The password of the blue safe in the cellar is changed by Ms Okafor on every second Monday of a month."
    put(tmp_path, page(1), f"{page(2)} {secret}", page(3))
    write_jsonl(tmp_path / "qa" / "eval" / "set.jsonl", [{"question": "Who?", "context": f"{page(4)} {secret}"}])
    texts, report = run(tmp_path, tmp_path)
    assert texts == [page(1), page(3)]
    assert report["dropped"] == {"overlap with evaluation": 1}


@pytest.mark.parametrize("name", ["a.md", "deep/er/b.html", "c.docx", "d.txt", "e.html.md.erb"])
def test_everything_under_documents_counts_as_evaluation(tmp_path, name):
    secret = "Whoever finds the green umbrella of the chairman brings it to the porter and is given a bar of chocolate."
    put(tmp_path, page(1), f"{page(2)} {secret}")
    path = tmp_path / "documents" / name
    path.parent.mkdir(parents=True)
    if path.suffix == ".docx":
        half = len(secret) // 2  # word processors cut text into runs at any character
        body = f"<w:document><w:p><w:r>{secret[:half]}</w:r><w:r>{secret[half:]}</w:r></w:p></w:document>"
        with zipfile.ZipFile(path, "w") as box:
            box.writestr("word/document.xml", body)
    else:
        path.write_text(f"<p>{secret.replace('green', '<b>green</b>')}</p>" if path.suffix == ".html" else secret)
    texts, report = run(tmp_path, tmp_path)
    assert texts == [page(1)]
    assert report["evaluation_files_not_read"] == {}


def test_soft_hyphens_and_utf16_hide_no_evaluation_text(tmp_path):
    hyphened = "Who\u00adever finds the green um\u00adbrella of the chair\u00adman brings it to the por\u00adter at once and smiles."
    wide = "The password of the blue safe in the cellar is changed by Ms Okafor on every second Monday of a month."
    put(tmp_path, page(1), f"{page(2)} {hyphened}", f"{page(3)} {wide}")
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text(hyphened, encoding="utf-8")
    (tmp_path / "documents" / "b.html").write_bytes(f"<p>{wide}</p>".encode("utf-16"))
    texts, report = run(tmp_path, tmp_path)
    assert texts == [page(1)]
    assert report["evaluation_files_not_read"] == {}


def test_evaluation_files_that_cannot_be_read_are_counted_and_said(tmp_path, capsys):
    put(tmp_path, page(1))
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "scan.png").write_bytes(b"\x89PNG\0\0\xff")
    assert run(tmp_path, tmp_path)[1]["evaluation_files_not_read"] == {".png": 1}
    said = capsys.readouterr().err
    assert said.startswith("evaluation  reading 1 files first")  # it takes a while, before any progress
    assert "evaluation  1 files could not be read (.png)" in said


def test_exact_and_near_copies_are_removed_and_the_first_stays(tmp_path):
    first = page(1, 30)
    near = first.replace(" and ", " then ", 1)
    put(tmp_path, first, page(2, 30), first + "  \n", near)
    texts, report = run(tmp_path, tmp_path)
    assert texts == [first, page(2, 30)]
    assert report["dropped"] == {"exact copy": 1, "near copy": 1}


def test_texts_that_share_little_are_no_copies(tmp_path):
    put(tmp_path, *(page(seed, 12) for seed in range(40)))
    assert len(run(tmp_path, tmp_path)[0]) == 40


def test_addresses_and_telephone_numbers_are_masked(tmp_path):
    put(
        tmp_path,
        f"{page(1)} Write to ann.lee@corp.example.com or ring (212) 555-0187. Version 3.11 is from 2024-01-15.",
    )
    (text,), report = run(tmp_path, tmp_path)
    assert text.endswith("Write to name@example.org or ring 555-0100. Version 3.11 is from 2024-01-15.")
    assert report["masked"] == {"e-mail": 1, "telephone": 1}


def test_every_document_is_kept_or_counted_under_a_reason_with_a_sample(tmp_path):
    put(tmp_path, page(1), "Too short.", "# # # # " * 40 + page(2), page(3, 4) + "\n" + "12 34 56 78 90\n" * 60)
    texts, report = run(tmp_path, tmp_path)
    assert report["documents"] == 4 == len(texts) + sum(report["dropped"].values())
    assert report["samples"]["too few words"] == [{"source": "1", "text": "Too short."}]
    assert report["domains"]["notes"]["licences"] == {"not stated": report["bytes_kept"]}


def test_held_out_text_is_not_in_the_training_text(tmp_path):
    put(tmp_path, *(page(seed, 10) for seed in range(60)))
    texts, report = run(tmp_path, tmp_path, held_share=0.3)
    held = [json.loads(line)["text"] for line in (tmp_path / "out/clean/notes.held.jsonl").read_text().splitlines()]
    assert 5 < len(held) < 35
    assert not set(held) & set(texts)
    assert len(held) + len(texts) == report["kept"] == 60


def test_several_processes_give_what_one_gives(tmp_path):
    put(tmp_path, *(page(seed, 10) for seed in range(30)), page(3, 10), "Too short.")
    alone, together = run(tmp_path, tmp_path), run(tmp_path, tmp_path, workers=2)
    assert alone[0] == together[0]
    assert {key: alone[1][key] for key in SAME} == {key: together[1][key] for key in SAME}


def test_a_domain_stops_at_its_share_of_bytes(tmp_path):
    put(tmp_path, *(page(seed, 10) for seed in range(60)))
    _, report = run(tmp_path, tmp_path, bytes_per_domain=5000)
    assert 5000 <= report["bytes_kept"] < 7000


def test_compressed_files_and_folders_of_text_are_read(tmp_path):
    put(tmp_path, page(1))
    with lzma.open(tmp_path / "raw" / "more.jsonl.xz", "wt") as out:
        out.write(json.dumps({"text": page(2)}) + "\n")
    (tmp_path / "raw" / "third.txt").write_text(page(3))
    assert sorted(run(tmp_path, tmp_path)[0]) == sorted(page(seed) for seed in (1, 2, 3))


def test_all_files_of_a_domain_are_read_and_hidden_ones_are_none(tmp_path):
    for seed, name in enumerate(("books.1.jsonl", "books.2.jsonl", "notes[a].jsonl")):
        write_jsonl(tmp_path / "pretrain" / name, [{"text": page(seed)}])
    (tmp_path / "pretrain" / ".hidden").write_bytes(b"\0")
    places = sources.find_sources(tmp_path, {})
    named = {domain: [path.name for path in paths] for domain, paths in places.items()}
    assert named == {"books": ["books.1.jsonl", "books.2.jsonl"], "notes[a]": ["notes[a].jsonl"]}


@pytest.mark.parametrize("line", ["{", "[1]", '{"words": "no text"}'])
def test_a_line_that_is_no_document_is_named(tmp_path, line):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "notes.jsonl").write_text(json.dumps({"text": page(1)}) + "\n" + line + "\n")
    with pytest.raises(DataError, match=r"notes\.jsonl, line 2: no object with a text"):
        run(tmp_path, tmp_path)


def test_a_corpus_in_which_nothing_is_kept_is_refused_with_the_reasons(tmp_path):
    put(tmp_path, "Too short.")
    with pytest.raises(DataError, match="too few words"):
        run(tmp_path, tmp_path)


def test_a_pattern_that_finds_no_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no files for"):
        run(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("the cat and that dog have been of use to us with it " * 12, "one phrase again and again"),
        (page(1, 4) + " ".join(f"{number}" for number in range(100, 180)), "words without letters"),
        (
            "El gato duerme sobre una mesa grande mientras llueve " * 2 + "cada tarde del largo invierno " * 5,
            "no sentences",
        ),
        ("\n".join(f"- item {word}" for word in page(5).split()), "only a list"),
        ("\n".join(f"{line}..." for line in page(1, 12).replace("\n", " ").split(". ")), "cut-off lines"),
        (page(1) + "\nTo the top of the page\n" * 20 + page(2), "repeated lines"),
        (
            "tion ment able ness " + "incomprehensibilities notwithstanding internationalization " * 20,
            "mean word length",
        ),
    ],
)
def test_rules_drop_what_is_not_prose(text, reason):
    assert broken_rule(text, Words(text), QualityConfig()).startswith(reason)


def test_office_pages_pass_all_rules():
    assert {broken_rule(page(seed, 10), Words(page(seed, 10)), QualityConfig()) for seed in range(40)} == {None}


def test_normalising_keeps_the_words_and_drops_what_nobody_sees():
    assert quality.normalise("Cafe\u0301 \u00adopens\u200b  \r\n\r\n\r\n\r\nat 9\x00.\t\n") == "Café opens\n\nat 9."


def test_visible_text_of_markup_keeps_words_whole():
    assert plain.without_tags("<p>Un<b>til</b> noon</p><p>Then</p>").split() == ["Until", "noon", "Then"]

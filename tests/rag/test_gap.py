"""How far documents lie from what the model knows: measured once, ordered, and only for who may read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag import gap
from rag.catalogue import Catalogue
from rag.gap import Gap, Gaps, Ordinary, Paid
from rag.library import Library
from tests.miniature import put, small_library
from trainer.encoder import packaged_encoder

ENGLISH = "Each team keeps a page that says how to install the service, how to restart it and whom to call. " * 8
GERMAN = "Die Kündigungsfrist beträgt für beide Vertragsparteien vier Wochen zum Ende eines Kalendermonats. " * 8
JAPANESE = "従業員は毎年二十七日の有給休暇を取得することができます。申請は二週間前までに上司に行ってください。" * 8


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = small_library(tmp_path / "index")
    model = library.settings.model
    (model / "tokenizer.json").write_bytes((packaged_encoder() / "tokenizer.json").read_bytes())
    return library


def test_documents_are_listed_from_the_farthest_to_the_nearest(library: Library) -> None:
    for name, text in (("english.md", ENGLISH), ("german.md", GERMAN), ("japanese.md", JAPANESE), ("short.md", "Hi.")):
        put(library._catalogue, name, text)
    found = library.gaps()
    assert [one.document for one in found.documents] == ["japanese.md", "german.md", "english.md"]  # short says nothing
    japanese, german, english = found.documents
    assert english.bits_per_byte < found.ordinary.bits[2] < german.bits_per_byte
    assert (english.tokens_per_word or 9) < (german.tokens_per_word or 0)
    assert japanese.tokens_per_word is None  # its words are not set apart
    assert found.ordinary.tokens is not None  # the same vocabulary as the table's figures
    assert found.as_dict()["documents"][0]["tokens_per_word"] is None


def test_a_version_is_measured_once_and_a_replaced_document_anew(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(library._catalogue, "leave.md", ENGLISH)
    seen: list[tuple[int, int]] = []
    first = library.gaps(progress=lambda *at: seen.append(at)).documents[0]
    again = library.gaps(progress=lambda *at: seen.append(at)).documents[0]
    assert seen == [(1, 1)]
    assert again == first
    put(library._catalogue, "leave.md", GERMAN)
    assert library.gaps(progress=lambda *at: seen.append(at)).documents[0].bits_per_byte > first.bits_per_byte
    assert len(seen) == 2
    monkeypatch.setattr(gap, "LEAST", 10**6)
    assert library.gaps().bits_per_byte is None
    assert "too little text" in library.gaps().verdict


def test_who_may_not_read_a_document_is_not_told_how_far_it_lies(library: Library) -> None:
    put(library._catalogue, "open.md", ENGLISH)
    put(library._catalogue, "closed.md", GERMAN, access=["ann"])
    assert [one.document for one in library.gaps(person="bob").documents] == ["open.md"]
    assert {one.document for one in library.gaps(person="ann").documents} == {"open.md", "closed.md"}


def test_no_words_are_stored_with_the_figures(library: Library) -> None:
    put(library._catalogue, "leave.md", ENGLISH)
    library.gaps()
    catalogue: Catalogue = library._catalogue
    assert all(
        not isinstance(value, str) or len(value) < 30
        for row in catalogue.db.execute("select * from document_gaps")
        for value in row
    )


def test_the_line_stands_where_retraining_was_seen_to_pay() -> None:
    ordinary = Ordinary(10, (1.9, 2.4, 3.3), None)
    far = Gap("a.md", 1, "default", "2026-11-22", 1000, 3500.0, 100, 130)
    paid = (Paid("near", 2.2, 1.2, 160, 1.0, -3.0, 5.0), Paid("far", 2.8, 1.3, 160, 11.0, 4.0, 18.0))
    assert Gaps((far,), ordinary, paid).line == 2.8
    assert Gaps((far,), ordinary, ()).line is None
    assert "has not been measured yet" in Gaps((far,), ordinary, ()).worth
    assert Gaps((far,), ordinary, paid).worth == (
        "Retraining was seen to pay from 2.80 bits per byte on. These documents lie beyond that. It rests on 2 libraries "
        "only: near at 2.20: +1 points (95%: -3 to +5, 160 questions); far at 2.80: +11 points (95%: +4 to +18, "
        "160 questions)."
    )
    assert Gaps((far,), ordinary, paid[:1]).worth.startswith(
        "Retraining was not seen to pay at a distance that was measured, on one library: near at 2.20"
    )
    assert "95 of 100" in Gaps((far,), ordinary).verdict

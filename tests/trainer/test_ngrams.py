"""The table of byte sequences: what it learns, what it stores, what it says of other text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trainer import gap, ngrams, recipe
from trainer.errors import CheckpointError, DataError

TEXTS = [
    f"Employees in room {number} have {20 + number % 9} days of annual leave a year. Ask your manager before you go.\n"
    for number in range(300)
]


@pytest.fixture(scope="module")
def table() -> ngrams.Table:
    return ngrams.learn(TEXTS, {"licence": "ours"}, least=4, often=2)


def test_text_like_what_was_counted_costs_little_and_noise_costs_eight_bits(table: ngrams.Table) -> None:
    def per_byte(text: str) -> float:
        bits, size = table.bits(text)
        return bits / size

    known = per_byte("Employees in room 9 have 21 days of annual leave a year.")
    other = per_byte("Ein Kündigungsschreiben bedarf der Schriftform gemäß Paragraph 623.")
    noise = per_byte("".join(chr(0x4E00 + 37 * number % 20000) for number in range(60)))
    assert known < 1.5 < 4 < other < noise


def test_the_probabilities_of_the_next_byte_sum_to_one_after_any_beginning(table: ngrams.Table) -> None:
    for before in (b" year", b"zqxjk", b"nnual", b"\xe4\xb8\xad\xe5\x9b", b"ee\n\n\n"):
        keys = np.array([int.from_bytes(before + bytes([last]), "big") for last in range(256)], dtype=np.uint64)
        total = float(np.exp2(-ngrams.cost(table.levels, keys)).sum())
        assert total == pytest.approx(1, abs=0.03), before  # costs are stored in sixteenths of a bit


def test_bits_are_those_of_each_byte_after_the_five_before_it(table: ngrams.Table) -> None:
    text = b"a year"
    padded = b"\n" * 5 + text
    keys = [int.from_bytes(padded[at : at + ngrams.ORDER], "big") for at in range(len(text))]
    bits, size = table.bits("  a \n year ")
    assert size == len(text)
    assert bits == pytest.approx(float(ngrams.cost(table.levels, np.array(keys, dtype=np.uint64)).sum()))


def test_a_stored_table_says_the_same_and_a_damaged_one_is_refused(table: ngrams.Table, tmp_path: Path) -> None:
    file = tmp_path / "table.safetensors"
    table.save(file)
    again = ngrams.load(file)
    assert again.about["licence"] == "ours"
    assert again.bits(TEXTS[7]) == table.bits(TEXTS[7])
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="cannot be read"):
        ngrams.load(file)


def test_an_empty_text_has_no_bytes_and_costs_nothing(table: ngrams.Table) -> None:
    assert table.bits(" \n ") == (0.0, 0)


def test_the_shipped_table_fits_in_a_megabyte_and_names_sources_and_licence() -> None:
    assert ngrams.SHIPPED.stat().st_size <= 1_000_000
    about = ngrams.load(ngrams.SHIPPED).about
    assert "Apache-2.0" in about["licence"]
    licences = {licence for _, licence, _ in json.loads(about["sources"])}
    assert licences
    assert not [licence for licence in licences if gap.CLOSED.search(licence)]


def test_the_stage_leaves_out_share_alike_lines_and_sources_kept_to_measure(tmp_path: Path) -> None:
    rows = [
        {"text": text * 6, "source": f"{source}/{number}", "licence": licence}
        for number, text in enumerate(TEXTS[:60])
        for source, licence in (("ours", "MIT"), ("theirs", "CC BY 4.0"), ("shared", "CC BY-SA 4.0"))
    ]
    (tmp_path / "handbooks.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    recipe_file = tmp_path / "gap.toml"
    recipe_file.write_text(
        'name = "gap"\n[gap]\nfiles = ["handbooks.jsonl"]\noutside = ["theirs"]\nbits = 4.0\n', "utf-8"
    )
    path = gap.train(recipe.load(recipe_file, data=tmp_path, out=tmp_path / "out"))
    about = ngrams.load(path).about
    assert {source for source, *_ in json.loads(about["sources"])} == {"ours"}
    figures = json.loads(about["figures"])
    assert figures["other_sources"]["documents"] == 60
    assert 0 < figures["other_sources"]["bits_per_byte"] < 2
    assert figures["other_sources"]["tokens_per_word"] >= 1
    recipe_file.write_text('name = "gap"\n[gap]\nfiles = ["handbooks.jsonl"]\noutside = ["nobody"]\n', "utf-8")
    with pytest.raises(DataError, match="0 kept out"):
        gap.train(recipe.load(recipe_file, data=tmp_path, out=tmp_path / "out"))


def test_words_are_runs_of_letters() -> None:
    assert ngrams.words_of("[Don't](https://a.bc/d2) pay 38 €; well-known") == [
        "Don't", "https", "a", "bc", "d", "pay", "well-known",
    ]  # fmt: skip

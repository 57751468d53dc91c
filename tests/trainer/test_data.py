"""Shards and rows: nothing is lost on the way, and a row's number is all one needs to find it again."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from tests.trainer.office import page, write_jsonl
from trainer import data, tokenizer
from trainer.data import Packed, Written
from trainer.errors import DataError
from trainer.recipe import Recipe


@pytest.fixture(scope="module")
def texts():
    return [page(seed, 4) for seed in range(30)]


@pytest.fixture(scope="module")
def folder(words, texts, tmp_path_factory):
    path = tmp_path_factory.mktemp("shards")
    documents = [Written("train", "rules" if i % 3 else "notes", text) for i, text in enumerate(texts)]
    data.write([*documents, Written("held", "rules", page(77))], words, path / "shards", compress=True)
    return path / "shards"


def test_what_was_written_is_read_again(words, folder, texts):
    stored = []
    for shard in data.open_shards(folder, "train", words):
        for start, length in zip(shard.starts, shard.lengths, strict=True):
            ids = shard.ids[start : start + length]
            assert ids[-1] == words.end
            stored.append(words.decode(ids.tolist()))
    assert Counter(stored) == Counter(texts)


def test_shards_that_came_compressed_are_unpacked_on_opening(words, folder):
    whole = {path.name: path.read_bytes() for path in folder.glob("*.bin")}
    for path in folder.glob("*.bin"):
        path.unlink()
    data.open_shards(folder, "train", words)
    data.open_shards(folder, "held", words)
    assert {path.name: path.read_bytes() for path in folder.glob("*.bin")} == whole


def test_an_epoch_reads_every_document_once_in_an_order_of_its_own(words, folder):
    packed = Packed(data.open_shards(folder, "train", words), length=64, seed=1)
    layouts = [packed.lay_out(epoch) for epoch in (0, 1)]
    for layout in layouts:
        read = sorted(zip(layout.shard.tolist(), layout.start.tolist(), strict=True))
        assert len(read) == len(set(read)) == 30
        assert sorted(layout.rows.tolist()) == list(range(len(layout.rows)))
    assert layouts[0].start.tolist() != layouts[1].start.tolist()


def test_rows_overlap_by_the_one_token_that_is_only_a_target(words, folder):
    packed = Packed(data.open_shards(folder, "train", words), length=50, seed=1, shuffle=False)
    first, second = packed.row(0), packed.row(1)
    assert len(first) == 51
    assert first[-1] == second[0]


def test_rows_depend_on_their_number_alone(words, folder):
    shards = data.open_shards(folder, "train", words)
    ahead, back = Packed(shards, length=64, seed=1), Packed(shards, length=64, seed=1)
    forwards = [ahead.row(n) for n in range(200)]
    backwards = [back.row(n) for n in reversed(range(200))][::-1]
    assert len(ahead.sizes) > 1
    assert all((a == b).all() for a, b in zip(forwards, backwards, strict=True))


def test_weights_say_how_often_a_domain_is_read(words, folder):
    shards = data.open_shards(folder, "train", words)
    names = [shard.entry.domain for shard in shards]
    layout = Packed(shards, length=64, seed=1, weights={"notes": 3.0, "rules": 0.5}).lay_out(0)
    read = Counter(names[number] for number in layout.shard.tolist())
    assert read["notes"] == 3 * 10
    assert 3 <= read["rules"] <= 17


def test_weights_for_an_unknown_domain_are_refused(words, folder):
    with pytest.raises(DataError, match=r"weights name \['poems'\]; the shards hold \['notes', 'rules'\]"):
        Packed(data.open_shards(folder, "train", words), length=64, seed=1, weights={"poems": 2.0})


def test_the_documents_of_a_row_are_known_from_its_ids():
    ids = np.array([[5, 6, 1, 7, 1, 8]])
    assert data.documents_of(ids, end=1).tolist() == [[0, 0, 0, 1, 1, 2]]


def test_shards_of_another_tokenizer_are_refused(folder, texts):
    other = tokenizer.train(iter(texts[:5]), vocabulary=300)
    with pytest.raises(DataError, match="was made with tokenizer"):
        data.open_shards(folder, "train", other)


def test_a_truncated_shard_is_refused_with_both_sizes(words, texts, tmp_path):
    entries = data.write([Written("train", "rules", text) for text in texts], words, tmp_path / "s")
    path = tmp_path / "s" / entries[0].file
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match=f"has {2 * entries[0].tokens - 2} bytes, shards.json says"):
        data.open_shards(tmp_path / "s", "train", words)


def test_a_damaged_index_and_a_missing_file_are_named(words, texts, tmp_path):
    entries = data.write([Written("train", "rules", text) for text in texts], words, tmp_path)
    lengths = (tmp_path / entries[0].file).with_suffix(".idx")
    kept = lengths.read_bytes()
    lengths.unlink()
    with pytest.raises(DataError, match=r"\.idx is missing; copy it again or run `trainer tokenizer`"):
        data.open_shards(tmp_path, "train", words)
    lengths.write_bytes(kept)
    for damaged in ("{", "[]", '{"shards": [{"file": "a"}]}'):
        (tmp_path / "shards.json").write_text(damaged)
        with pytest.raises(DataError, match=r"shards\.json is damaged .*run `trainer tokenizer` again"):
            data.open_shards(tmp_path, "train", words)


def test_a_tokenizer_that_checkpoints_belong_to_is_not_replaced(texts, tmp_path):
    write_jsonl(tmp_path / "clean" / "rules.train.jsonl", [{"text": text} for text in texts])

    def plan(vocabulary):
        return Recipe("t", tmp_path, tmp_path, {"tokenizer": {"vocabulary": vocabulary}})

    before = data.tokenize(plan(300)).read_bytes()
    state = tmp_path / "pretrain" / "step-00000001" / "state.json"
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"identity": {"tokenizer": tokenizer.load(tmp_path / "tokenizer.json").identity}}))
    data.tokenize(plan(300))  # the same again
    with pytest.raises(DataError, match=r"step-00000001 was trained with tokenizer .* nothing was written: choose"):
        data.tokenize(plan(290))
    assert (tmp_path / "tokenizer.json").read_bytes() == before


def test_too_little_text_for_a_row_is_refused(words, tmp_path):
    data.write([Written("train", "rules", "Short.")], words, tmp_path / "s")
    with pytest.raises(DataError, match="no row of 64 tokens"):
        Packed(data.open_shards(tmp_path / "s", "train", words), length=64, seed=1).row(0)

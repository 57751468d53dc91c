"""Text and ids: nothing is lost, and no text reaches a reserved token."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library
from tokenizers import models, pre_tokenizers, trainers

from trainer import tokenizer
from trainer.errors import DataError, RecipeError
from trainer.tokenizer import RESERVED, Tokenizer, name

ROLE_WORDS = st.sampled_from([name(role) for role in RESERVED] + ["<|", "|>", "<", "|", ">", " ", "answer", "\n"])
HOSTILE = st.lists(ROLE_WORDS | st.text(max_size=5), max_size=12).map("".join)
WHOLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@pytest.fixture(scope="module")
def hostile() -> Tokenizer:
    """Learnt from text that is full of role tokens: if merges could ever build one, they would here."""
    return tokenizer.train((" ".join(name(role) for role in RESERVED) for _ in range(200)), vocabulary=400)


@given(text=HOSTILE)
@settings(max_examples=300, deadline=None)
def test_no_text_reaches_a_reserved_token(hostile, words, text):
    for one in (hostile, words):
        assert all(token >= len(RESERVED) for token in one.encode(text))
        assert all(token >= len(RESERVED) for ids in one.encode_all([text]) for token in ids)
        assert all(token >= len(RESERVED) for token in one.encode_with_offsets(text)[0])


@given(text=WHOLE)
@settings(max_examples=200, deadline=None)
def test_text_comes_back_as_it_was(words, text):
    assert words.decode(words.encode(text)) == text


SPLITTING = st.lists(
    st.sampled_from(
        ["'s", "'LL", " ", "  ", "\n", "\t", "\u00a0", "\u3000", "\x1c", "\x85", "don't", "_", "²", "½", "٣", "Ⅷ"]
    )
    | st.sampled_from(["é", "e\u0301", "ª", "漢", "Жук", "ﬁ", "—", "…", "12", "a1", "ẞ", "\U0001f600", "x" * 70])
    | st.text(max_size=4),
    max_size=14,
).map("".join)


@pytest.fixture(scope="module")
def crossing() -> Tokenizer:
    """Learnt from uncut text, so that merges join whatever a wrong cut leaves together."""
    signs = ["'s", "'LL", "12", "²", "—", "…", "a", "é", "_", "\n", " ", "漢", "x"]
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        special_tokens=[name(role) for role in RESERVED],
        initial_alphabet=[symbol for _, symbol in tokenizer.byte_symbols()],
        show_progress=False,
    )
    library.train_from_iterator([a + b + c for a in signs for b in signs for c in signs for _ in range(3)], trainer)
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return Tokenizer(library)


@given(texts=st.lists(SPLITTING | WHOLE, max_size=4))
@settings(max_examples=400, deadline=None)
def test_many_texts_give_the_ids_that_each_gives_alone(crossing, texts):
    texts = [tokenizer.SURROGATE.sub("\ufffd", text) for text in texts]
    assert crossing._pieces.fits
    assert crossing.encode_all(texts) == [crossing.encode(text) for text in texts]


def test_pieces_are_forgotten_before_they_fill_the_memory(words, monkeypatch):
    monkeypatch.setattr("trainer.pieces.MOST", 20)
    texts = [f"word{number} {'y' * 70}{number}" for number in range(40)]
    fresh = Tokenizer(words.library)
    for _ in range(4):
        assert fresh.encode_all(texts) == [words.encode(text) for text in texts]
    assert not any(len(piece) > 64 for piece in fresh._pieces.known)
    fresh.encode_all(["other"])
    assert len(fresh._pieces.known) == 1


def test_a_tokenizer_that_splits_in_another_way_is_left_to_the_library(words):
    other = type(words.library).from_str(words.library.to_str())
    other.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    assert Tokenizer(other).encode_all(["Drivers wait."]) == [other.encode("Drivers wait.").ids]


@given(text=WHOLE)
@settings(max_examples=200, deadline=None)
def test_offsets_cover_the_text_and_hold_each_token(words, text):
    ids, offsets = words.encode_with_offsets(text)
    covered = set()
    for token, (start, end) in zip(ids, offsets, strict=True):
        covered.update(range(start, end))
        assert words.token_bytes(token) in text[start:end].encode()
    assert covered == set(range(len(text)))


def test_a_lone_surrogate_is_read_as_the_replacement_character(words):
    assert words.decode(words.encode("a\ud800b")) == "a\ufffdb"


def test_it_opens_as_it_was_saved(words, tmp_path):
    words.save(tmp_path / "tokenizer.json")
    opened = tokenizer.load(tmp_path / "tokenizer.json")
    assert opened.identity == words.identity
    assert opened.encode("Drivers collect parcels.") == words.encode("Drivers collect parcels.")


def test_a_file_whose_text_could_reach_a_reserved_token_is_refused(words, tmp_path):
    raw = json.loads(words.library.to_str())
    raw["added_tokens"] = [
        {"id": RESERVED["answer"], "content": name("answer"), "special": True, "single_word": False,
         "lstrip": False, "rstrip": False, "normalized": False}
    ]  # fmt: skip
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(DataError, match="must be unreachable"):
        tokenizer.load(path)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"model":', encoding="utf-8")
    with pytest.raises(DataError, match="not a tokenizer file"):
        tokenizer.load(tmp_path / "tokenizer.json")


def test_a_vocabulary_without_room_for_bytes_is_refused():
    with pytest.raises(RecipeError, match="vocabulary is 100"):
        tokenizer.train(iter(["text"]), vocabulary=100)

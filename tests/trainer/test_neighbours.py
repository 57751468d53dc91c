"""Near misses: texts that are easily taken for the right one, and are not."""

from __future__ import annotations

import random

import pytest
import torch

from trainer import neighbours
from trainer.encoder import Encoder, packaged_encoder
from trainer.rows import Example, confused, with_near_misses

TEXTS = [
    "Employees accrue 27 days of annual leave a year.",
    "Staff can take unpaid time off.",
    "The canteen serves lunch from noon until two.",
    "Passwords have at least 14 characters.",
    "Visitors sign in at the front desk and wear a badge.",
    "Invoices are paid within 30 days.",
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.from_folder(packaged_encoder())


def examples(question: str, own: int = 0) -> list[Example]:
    rows = [Example("x", "", text, ((0, 4),), "ours", "CC0-1.0") for text in TEXTS]
    rows[own] = Example(question, "", TEXTS[own], ((0, 9),), "ours", "CC0-1.0")
    return rows


def test_the_nearest_text_is_found_without_a_shared_word(encoder: Encoder) -> None:
    vectors = neighbours.embed(TEXTS, encoder, bf16=False)
    asked = neighbours.embed(["How much holiday do staff get?", "Where do guests register?"], encoder, bf16=False)
    assert set(neighbours.nearest(vectors, asked, 2)[0]) == {0, 1}
    assert neighbours.nearest(vectors, asked, 1)[1] == [4]  # visitors sign in


def test_a_vector_does_not_depend_on_its_batch(encoder: Encoder) -> None:
    alone = neighbours.embed([TEXTS[3]], encoder, bf16=False)
    beside = neighbours.embed([TEXTS[3], TEXTS[0] * 9], encoder, bf16=False)
    assert abs(alone[0] - beside[0]).max() < 1e-5


def test_a_vector_is_the_mean_of_the_states_of_a_texts_own_tokens(encoder: Encoder) -> None:
    long = " ".join(TEXTS)
    ids = {text: encoder.tokenizer.encode(text).ids for text in (TEXTS[3], long)}
    assert len(ids[long]) > 32
    ids[long] = ids[long][:31] + ids[long][-1:]
    for text, wanted in zip(ids, neighbours.embed(list(ids), encoder, length=32, bf16=False), strict=True):
        with torch.inference_mode():
            states = encoder(torch.tensor([ids[text]]), torch.ones(1, len(ids[text]), dtype=torch.long))
        mean = states[0].mean(0)
        assert abs((mean / mean.norm()).numpy() - wanted).max() < 1e-5


def test_words_and_meaning_take_turns_in_naming_near_misses(encoder: Encoder) -> None:
    question = "Where do guests register until two?"  # until two: the canteen; guests register: visitors sign in
    asked = [e for e in examples(question) if e.question == question]
    pairs = [("", text) for text in TEXTS]
    words, meaning = next(confused(asked, pairs, misses=1, chance=random.Random(0), encoder=encoder, easy=False))[:2]
    assert (TEXTS[words], TEXTS[meaning]) == (TEXTS[2], TEXTS[4])
    assert next(confused(asked, pairs, misses=1, chance=random.Random(0), encoder=None, easy=False))[0] == words


def test_no_near_miss_holds_an_answer(encoder: Encoder) -> None:
    asked = [
        Example("How many days?", "", TEXTS[0], ((17, 24),), "ours", ""),  # "27 days"
        Example("?", "", "Leave of 27 days is usual.", ((0, 5),), "ours", ""),
        Example("?", "", TEXTS[2], ((0, 3),), "ours", ""),
    ]
    for easy in (False, True):
        row = next(iter(with_near_misses(asked, misses=3, seed=0, encoder=encoder, easy=easy)))
        assert [text for _, text in row.sources[1:]] == [TEXTS[2]]


def test_easy_misses_are_drawn_from_everywhere() -> None:
    question = "Which days of annual leave are unpaid time off?"
    drawn = {
        row.sources[1][1]
        for seed in range(30)
        for row in with_near_misses(examples(question), misses=1, seed=seed, easy=True)
        if row.question == question
    }
    assert drawn == set(TEXTS[1:])

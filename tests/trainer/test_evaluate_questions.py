"""Question files: what is read, what is refused and by which line, and what a reader is shown."""

from __future__ import annotations

import json
import lzma

import pytest

from trainer.chat import MOST_SOURCES
from trainer.errors import DataError
from trainer.scoring import questions

TEXT = "The north depot counts parcels on Mondays. The mill closes at six."
GOOD = {"question": "When are parcels counted?", "context": TEXT, "title": "North_depot", "answers": [{"text": "on Mondays", "start": 31}], "answerable": True}  # fmt: skip


def put(path, *rows):
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_question_is_read_with_its_heading_answers_and_spans_plain_or_compressed(tmp_path):
    free = {**GOOD, "title": "", "answers": [{"text": "at the start of the week", "start": -1}]}
    none = {**GOOD, "title": "Depot_17", "answers": [], "answerable": False}
    path = put(tmp_path / "q.jsonl", GOOD, "\n", free, none)
    packed = tmp_path / "q.jsonl.xz"
    packed.write_bytes(lzma.compress(path.read_bytes()))
    first, second, third = questions.read(packed)
    assert questions.read(path) == [first, second, third]
    assert (first.line, first.heading, first.answers, first.spans) == (1, "North depot", ("on Mondays",), ((31, 41),))
    assert (second.line, second.spans, second.answerable) == (3, (), True)
    assert (third.heading, third.answers, third.answerable) == ("", (), False)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{half\n", r"line 2: not JSON"),
        ("[1]\n", r"line 2: is list; write an object"),
        ({**GOOD, "question": " "}, r"line 2: question is ' '; it must be a text"),
        ({"question": "Why?", "answer": "Because"}, r"line 2: context is None"),
        ({**GOOD, "answers": "on Mondays"}, r"line 2: answers is str; write a list"),
        ({**GOOD, "answers": ["on Mondays"]}, r"line 2: answers\[0\] is \"on Mondays\"; write"),
        ({**GOOD, "answers": [{"text": "on Mondays", "start": 32}]}, r"characters 32 to 42, but there stands 'n Mondays\.'"),
        ({**GOOD, "answers": [{"text": "six.", "start": 64}]}, r"characters 64 to 68, but the context has 66"),
        ({**GOOD, "answers": [{"text": "six", "start": -7}]}, r"start is -7; count characters"),
        ({**GOOD, "answers": []}, r"line 2: answerable, but without answers"),
        ({**GOOD, "answerable": "yes"}, r"answerable is 'yes'; write true or false"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_with_the_rule_it_breaks(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        questions.read(put(tmp_path / "q.jsonl", GOOD, row))


def test_a_file_that_is_missing_empty_or_damaged_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.jsonl is missing"):
        questions.read(tmp_path / "gone.jsonl")
    with pytest.raises(DataError, match="holds no question"):
        questions.read(put(tmp_path / "empty.jsonl", "\n"))
    whole = lzma.compress(json.dumps(GOOD).encode() * 50)
    for name, content in (("a.jsonl.xz", b"not xz"), ("b.jsonl.xz", whole[:-20]), ("c.jsonl", b'{"question": "\xff"}')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name} cannot be read"):
            questions.read(tmp_path / name)


def test_a_long_context_is_shown_in_windows_that_leave_nothing_out_and_overlap():
    sentences = [f"Sentence number {n} says something of its own." for n in range(200)]
    text = " ".join(sentences)
    parts = questions.cut(text)
    assert all(len(part) <= questions.WINDOW for part in parts)
    assert all(any(sentence in part for part in parts) for sentence in sentences)
    assert all(text.index(part) >= 0 for part in parts)
    assert all(part.startswith("Sentence") for part in parts)


def test_of_many_windows_the_likeliest_are_shown_in_the_texts_order():
    filler = "Clerks label the forms in pairs and count them each evening. "
    text = filler * 100 + "The kiln is fired at dawn. " + filler * 100
    one = questions.parse({"question": "When is the kiln fired?", "context": text, "answerable": False}, "x", 1)
    shown = questions.sources(one)
    assert len(shown) == MOST_SOURCES < len(questions.cut(text))
    assert any("fired at dawn" in source.text for source in shown)


def test_near_misses_never_hold_the_answer_and_questions_without_a_literal_one_are_left_out(tmp_path):
    things = ("parcels", "keys", "forms", "vans", "badges", "radios")
    rows = [
        {
            "question": f"When are the {thing} counted?",
            "context": f"At depot {n} clerks count the {thing} at {n + 4} o'clock.",
            "answers": [{"text": f"{n + 4} o'clock", "start": len(f"At depot {n} clerks count the {thing} at ")}],
        }
        for n, thing in enumerate(things)
    ]
    free = {"question": "When?", "context": "Some text.", "answers": [{"text": "later on", "start": -1}]}
    asked = questions.read(put(tmp_path / "q.jsonl", *rows, free))
    among = questions.among_near_misses(asked)
    assert len(among) == len(rows)
    for (question, sources), row in zip(among, rows, strict=True):
        assert (question, sources[0].text) == (row["question"], row["context"])
        assert len({source.text for source in sources}) == 5
        assert not any(row["answers"][0]["text"] in source.text for source in sources[1:])

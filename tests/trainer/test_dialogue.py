"""Dialogue rows: follow-ups are honest abbreviations, licences stay, and files of one's own are checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.trainer.office import question, write_jsonl
from trainer import recipe
from trainer.chat import Source, Turn
from trainer.errors import DataError
from trainer.rows import ReadingRow
from trainer.teaching import dialogue
from trainer.teaching.dialogue import DialogueConfig
from trainer.teaching.followups import elided, with_pronoun


def reading(asked: str, text: str, answer: str, *, heading: str = "", licence: str = "CC0") -> ReadingRow:
    start = text.index(answer)
    return ReadingRow(asked, ((heading, text),), ((start, start + len(answer)),), "office", licence)


MILL = "The old mill was built in 1901. Ada Byron keeps it open until six. She lives there. She bakes."
ROWS = [
    reading("When was the old mill built?", MILL, "1901", licence="MIT"),
    reading("Who looks after the old mill?", MILL, "Ada Byron", licence="CC0"),
    reading("Until when is the old mill open?", MILL, "six"),
]


def test_a_name_that_was_just_said_becomes_a_pronoun():
    made = dialogue.from_documents(ROWS, DialogueConfig(unchanged=0.0, elided=0.0))
    pairs = {(row.question, row.standalone) for row in made}
    assert ("Who looks after it?", "Who looks after the old mill?") in pairs
    assert all(row.made == "pronoun" and row.question != row.standalone for row in made)
    assert all(row.history[0].text != row.standalone for row in made)
    assert {row.licence for row in made} <= {"CC0", "MIT", "CC0; MIT"}
    assert any(row.licence == "CC0; MIT" for row in made)  # both rows' licences, where they differ


@pytest.mark.parametrize(
    ("question", "said", "text", "short"),
    [
        ("How did Ada Byron meet him?", "When was Ada Byron born?", MILL, "How did she meet him?"),
        ("What is Ada Byron's dog called?", "Who is Ada Byron?", MILL, "What is her dog called?"),
        ("Is parking free in Ghent?", "I was in Ghent.", "", "Is parking free there?"),
        ("Who pays for the vans?", "Where are the vans?", "", "Who pays for them?"),
        ("Who pays for the van drivers?", "Where is the van?", "", None),  # only a part of the name was said
        ("Where is the price of the van?", "What is the price of tea?", "", None),
        ("Are you open on Monday?", "Not on Monday.", "", None),
        ("Who pays?", "Nobody pays.", "", None),
    ],
)
def test_pronouns_fit_and_parts_of_names_stay(question, said, text, short):
    assert with_pronoun(question, said, text) == short


@pytest.mark.parametrize(
    ("before", "question", "short"),
    [
        ("What is the fee for keys on Mondays?", "What is the fee for vans on Mondays?", "And for vans?"),
        ("What is the rule on travel?", "What is the rule on dogs?", "What about dogs?"),
        ("What is a van?", "Who pays for keys?", None),
        ("How do I order keys?", "How do I return them?", None),
    ],
)
def test_only_what_is_new_is_said_where_two_questions_are_alike(before, question, short):
    assert elided(before, question) == short


def test_some_questions_after_another_subject_stay_as_they_are():
    made = dialogue.from_documents(ROWS, DialogueConfig(unchanged=1.0))
    assert made
    assert all(row.question == row.standalone and row.made == "unchanged" for row in made)


def test_rows_are_made_from_reading_rows_and_dialogues_and_keep_their_licences(tmp_path):
    talk = ["Is there a room in Ghent?", "Yes, at the Grand Oak.", "What does the Grand Oak cost?", "90 pounds."]
    turns = [["USER" if at % 2 == 0 else "SYSTEM", words] for at, words in enumerate(talk)]
    spoken = [{"split": split, "id": split, "services": [], "turns": turns} for split in ("train", "dev", "test")]
    write_jsonl(tmp_path / "data" / "dialogue" / "service_dialogues.jsonl", spoken)
    write_jsonl(tmp_path / "data" / "dialogue" / "ours.jsonl", spoken[:1])  # nobody said what may be done with it
    write_jsonl(tmp_path / "data" / "qa" / "train" / "office.jsonl", [question(seed) for seed in range(60)])
    overrides = ["rows.misses=1", "rows.dev_one_in=4", "rows.caps={}"]
    root = Path(__file__).resolve().parents[2]
    plan = recipe.load(
        root / "configs" / "tiny.toml", data=tmp_path / "data", out=tmp_path / "out", overrides=overrides
    )
    folder = dialogue.make(plan)
    talks = {split: dialogue.read_talks(folder / f"talk-{split}.jsonl") for split in ("train", "dev")}
    assert [len(talks["train"]), len(talks["dev"])] == [2, 2]
    assert {talk.domain: talk.licence for talk in talks["train"]} == {"service_dialogues": "CC BY-SA 4.0", "ours": ""}
    assert [turn.role for turn in talks["train"][0].turns] == ["user", "assistant", "user", "assistant"]
    train, dev = (dialogue.read_rewrites(folder / f"rewrite-{split}.jsonl") for split in ("train", "dev"))
    service = [row for row in train if row.domain == "service_dialogues"]
    assert [(row.question, row.standalone) for row in service] == [
        ("What does it cost?", "What does the Grand Oak cost?")
    ]
    assert {row.made for row in train} >= {"elided", "unchanged"}
    report = json.loads((folder / "report.json").read_text())
    assert report["train"]["talk_licences"] == {"CC BY-SA 4.0": 1, "not stated": 1}
    assert sum(report["dev"]["rewrite"].values()) == len(dev)
    again = (folder / "rewrite-train.jsonl").read_bytes()
    dialogue.make(plan)
    assert (folder / "rewrite-train.jsonl").read_bytes() == again


def test_conversations_of_ones_own_are_read_with_their_sources(tmp_path):
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Vans?"}]
    row = {"messages": [*messages, {"role": "assistant", "content": "At the mill."}], "sources": [{"text": MILL}]}
    write_jsonl(tmp_path / "own.jsonl", [row])
    (talk,) = dialogue.read_talks(tmp_path / "own.jsonl")
    assert talk.turns == (Turn("system", "Be short."), Turn("user", "Vans?"), Turn("assistant", "At the mill."))
    assert talk.sources == (Source("", MILL),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"messages": [{"role": "robot", "content": "x"}]}', "line 1: .*robot.* with a role of"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "line 1: no turn of the assistant"),
        ('{"messages": "hello"}', 'line 1: .* is no {"role", "content"}'),
        ("[1, 2]", "line 1: .* is no object"),
        ('{"messages": [', "line 1: not JSON"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path, line, message):
    (tmp_path / "own.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        dialogue.read_talks(tmp_path / "own.jsonl")
    with pytest.raises(DataError, match="is missing"):
        dialogue.read_rewrites(tmp_path / "none.jsonl")

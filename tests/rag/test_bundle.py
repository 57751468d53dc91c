"""The bundle: what leaves the library, what never does, which side it is on, and what is withdrawn later."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag import bundle, commit, feedback, review
from rag.audit import Audit
from rag.bundle import Bundled, Wanted
from rag.config import Settings
from rag.errors import ModelError, SettingsError
from rag.lessons import lesson
from rag.parts import Parts, open_parts
from rag.readable import Readable
from tests.miniature import WordCounts, put

TOPICS = "leave travel pension parking canteen security training hardware".split()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """Eight documents of three passages, one more that only ada may read; real FAISS, tantivy and SQLite."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"kind": "encoder", "name": "small"}', "utf-8")
    for name in ("model.safetensors", "tokenizer.json"):
        (model / name).write_bytes(name.encode())
    opened = open_parts(tmp_path / "index", Settings(index=tmp_path / "index", model=model), WordCounts())
    with opened.catalogue.atomic():  # one flush to the disk instead of nine
        for number, topic in enumerate(TOPICS):
            put(
                opened.catalogue, f"{topic}.md", f"The {topic} limit is {number + 2}0 euros a year.",
                f"Whoever asks for {topic} writes to the {topic} desk before May.",
                f"No {topic} is granted twice for one trip.",
            )  # fmt: skip
        put(opened.catalogue, "board.md", "The board limit is 900 euros. Ophelia decides.", access=["ada"])
    opened.refresh()
    yield opened
    opened.close()


def answered(parts: Parts, document: str = "leave.md", **other: Any) -> str:
    """An answer in the audit, as `answer.answer` leaves it: it read everything and quotes the first passage."""
    catalogue = parts.catalogue
    name = document.removesuffix(".md")
    passages = [p for d in catalogue.documents() for p in catalogue.passages_of(d.id)]
    gold = next(p for p in passages if p.document == document)
    cited = {
        "document": document, "version": gold.version, "page": 1, "start": gold.start, "end": gold.end,
        "quote": gold.text, "passage": gold.id, "score": 0.9,
    }  # fmt: skip
    question = f"What is the {name} limit?"
    answer = {"answer": gold.text, "abstained": False, "citations": [cited]}
    payload = {
        "question": question, "standalone": question, "history": [], "collection": None, "generation": 1,
        "model": "small-1", "speaker": "span:sentence", "spans": [],
        "passages": [
            {"id": p.id, "document": p.document, "version": p.version, "start": p.start, "end": p.end, "headings": []}
            for p in sorted(passages, key=lambda p: p.document != document)
        ],
        "answer": answer,
    }  # fmt: skip
    return Audit(catalogue).record("answer", "local", payload | other)


def accept(parts: Parts, answer: str, verdict: str = "up", person: str = "ann", **how: Any) -> str:
    made = feedback.rate(parts.catalogue, answer, verdict, person=person, **how)
    review.review(parts.catalogue, made.id, "accepted")
    return made.id


Write = Callable[..., tuple[Bundled, dict[str, list[dict[str, Any]]]]]


@pytest.fixture
def write(parts: Parts, tmp_path: Path) -> Write:
    """Writes a bundle and reads it again, with nothing but zipfile and json."""

    def written(*audience: str, **wanted: Any) -> tuple[Bundled, dict[str, list[dict[str, Any]]]]:
        file = tmp_path / "bundle.zip"
        made = bundle.write(parts, file, Wanted(audience, **wanted), person="local")
        with zipfile.ZipFile(file) as opened:
            texts = {name: opened.read(name).decode() for name in opened.namelist()}
        members = {n: [json.loads(line) for line in t.splitlines()] for n, t in texts.items() if n.endswith(".jsonl")}
        members["manifest"] = [json.loads(texts["manifest.json"])]
        members["rows"] = [*members["rows.train.jsonl"], *members["rows.held.jsonl"]]
        members["preferences"] = [*members["preferences.train.jsonl"], *members["preferences.held.jsonl"]]
        return made, members

    return written


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_judgement_becomes_a_row_that_says_where_its_text_is_from(parts: Parts, write: Write) -> None:
    mark = {"document": "leave.md", "quote": "20 euros"}
    made = accept(parts, answered(parts, "travel.md"), "down", reason="passage_missed", marked=mark)
    _, members = write()
    (row,) = members["rows"]
    (start, end), (heading, text) = row["spans"][0], row["sources"][0]
    assert (heading, text[start:end]) == ("", "20 euros")
    document = parts.catalogue.document("leave.md")
    assert (row["document"], row["document_id"], row["version"], row["access"]) == ("leave.md", document.id, 1, [])
    assert document.text[row["start"] : row["end"]] == text
    assert row["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert row["teaches"] == ["retriever pair", "span label"]
    assert (row["judgements"], row["people"]) == ([made], 1)
    assert "ann" not in json.dumps(members["rows"]), "a row says how many people, never who"
    assert members["preferences"] == []


def test_near_misses_stand_on_the_same_side_and_do_not_hold_the_answer(parts: Parts, write: Write) -> None:
    for topic in TOPICS:
        accept(parts, answered(parts, f"{topic}.md"))
    _, members = write()
    side = {p["id"]: name for name in ("train", "held") for p in members[f"passages.{name}.jsonl"]}
    assert set(side.values()) == {"train", "held"}
    for name in ("train", "held"):
        for row in members[f"rows.{name}.jsonl"]:
            assert len(row["sources"]) > 2, "there are near misses"
            assert {side[place["id"]] for place in row["passages"]} == {name}
            (start, end), answer = row["spans"][0], row["sources"][0][1]
            assert not any(answer[start:end] in text for _, text in row["sources"][1:])
        for passage in members[f"passages.{name}.jsonl"]:
            assert {side[near] for near in passage["near"]} == {name}


def test_the_trainer_reads_the_rows_as_they_are(parts: Parts, write: Write, tmp_path: Path) -> None:
    from trainer import rows
    from trainer.retrieval import pairs
    from trainer.synthesis import passages

    accept(parts, answered(parts))
    accept(parts, answered(parts, "travel.md"), "down", reason="should_have_refused")
    write()
    with zipfile.ZipFile(tmp_path / "bundle.zip") as opened:
        opened.extractall(tmp_path / "out")
    read = [row for side in ("train", "held") for row in rows.read_rows(tmp_path / "out" / f"rows.{side}.jsonl")]
    assert sorted(len(row.spans) for row in read) == [0, 1]
    found = pairs.read([tmp_path / "out" / f"rows.{side}.jsonl" for side in ("train", "held")])
    assert [pair.question for pair in found] == ["What is the leave limit?"]
    assert all(passages.count(tmp_path / "out" / f"passages.{side}.jsonl") for side in ("train", "held"))


def test_words_that_moved_with_a_new_version_are_followed(parts: Parts, write: Write) -> None:
    accept(parts, answered(parts))
    accept(parts, answered(parts, "travel.md"))
    put(parts.catalogue, "leave.md", "A new first passage stands here.", "The leave limit is 20 euros a year.")
    put(parts.catalogue, "travel.md", "The travel limit is 99 euros a year.")
    made, members = write()
    (row,) = members["rows"]
    assert (row["document"], row["version"], row["start"]) == ("leave.md", 2, 34)
    assert made.left_out == {"its words no longer stand in the current version": 1}


def test_a_preference_holds_both_words_or_one(parts: Parts, write: Write) -> None:
    accept(parts, answered(parts), "down", reason="style", correction="20 euros a year")
    first, second = answered(parts, "travel.md"), answered(parts, "travel.md")
    chosen = feedback.choose(parts.catalogue, first, second, "b", person="ann")
    review.review(parts.catalogue, chosen.id, "accepted")
    accept(parts, answered(parts, "canteen.md"), "down", person="bob")
    _, members = write()
    found = {row["question"]: (row["chosen"], row["rejected"]) for row in members["preferences"]}
    travel, canteen = "The travel limit is 30 euros a year.", "The canteen limit is 60 euros a year."
    assert found["What is the travel limit?"] == (travel, travel)
    assert found["What is the canteen limit?"] == (None, canteen)
    assert "What is the leave limit?" not in found, "its words stand in the passage: it is a span label"
    assert [row["question"] for row in members["rows"]] == ["What is the leave limit?"]


def test_equal_judgements_are_one_row_and_contradictions_are_settled(parts: Parts, write: Write) -> None:
    for person in ("ann", "bob"):
        accept(parts, answered(parts), person=person)
    accept(parts, answered(parts), "down", "cid", reason="should_have_refused")
    accept(parts, answered(parts, "travel.md"))
    accept(parts, answered(parts, "travel.md"), "down", "cid", reason="unsupported")
    made, members = write()
    (row,) = members["rows"]
    assert (row["document"], row["people"], len(row["judgements"])) == ("leave.md", 2, 2)
    assert made.left_out == {"people contradict each other about it": 3}


# --- rights -----------------------------------------------------------------------------------------------------------


def test_nothing_of_a_closed_document_leaves_unless_all_readers_are_named(
    parts: Parts, write: Write, tmp_path: Path
) -> None:
    accept(parts, answered(parts, "board.md"), person="ada")
    accept(parts, answered(parts))
    made, members = write()
    assert made.left_out == {"its document is not open to every future reader": 1}
    assert "Ophelia" not in json.dumps(members)
    assert "board" not in json.dumps(members)
    assert b"Ophelia" not in (tmp_path / "bundle.zip").read_bytes()
    _, members = write("ada", "bob")
    assert "Ophelia" not in json.dumps(members), "bob may not read it"
    made, members = write("ada")
    assert made.left_out == {}
    (row,) = (row for row in members["rows"] if row["document"] == "board.md")
    assert row["access"] == ["ada"]
    assert "Ophelia" in row["sources"][0][1]
    assert members["manifest"][0]["audience"] == ["ada"]
    assert (tmp_path / "bundle.zip").stat().st_mode & 0o077 == 0, "for its owner only"


def test_a_document_that_was_closed_later_does_not_leave(parts: Parts, write: Write) -> None:
    accept(parts, answered(parts))
    put(parts.catalogue, "leave.md", "The leave limit is 20 euros a year.", access=["ada"])
    made, members = write()
    assert made.left_out == {"its document is not open to every future reader": 1}
    assert "leave.md" not in {
        row["document"] for row in members["passages.train.jsonl"] + members["passages.held.jsonl"]
    }


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"remembered": ["a-fact"]}, "its answer rests on what a person asked to be remembered"),
        (
            {
                "question": "And its limit?",
                "standalone": "What is Ophelia's leave limit?",
                "history": [["Who decides?", "Ophelia."]],
            },
            "its question leans on words of an earlier answer",
        ),
    ],
)
def test_words_that_only_the_asker_knew_do_not_leave(
    parts: Parts, write: Write, other: dict[str, Any], reason: str
) -> None:
    accept(parts, answered(parts, **other))
    made, members = write()
    assert made.left_out == {reason: 1}
    assert "Ophelia" not in json.dumps(members)


def test_what_a_task_made_of_many_quotations_teaches_no_span(parts: Parts, write: Write) -> None:
    accept(parts, answered(parts, speaker="task:count"))
    made, members = write()
    assert made.left_out == {"its answer lists, compares or sums up: no single span answers such a request": 1}
    assert members["rows"] == []


def test_a_follow_up_completed_from_ones_own_questions_does_leave(parts: Parts, write: Write) -> None:
    history = [["How does Ophelia take leave?", "She asks."]]
    accept(
        parts, answered(parts, question="And the limit?", standalone="What is Ophelia's leave limit?", history=history)
    )
    _, members = write()
    assert [row["question"] for row in members["rows"]] == ["What is Ophelia's leave limit?"]


def test_an_outside_model_that_read_closed_passages_teaches_no_words(parts: Parts, write: Write) -> None:
    accept(parts, answered(parts, speaker="large at http://inside.example"), "down", reason="style")
    made, members = write()
    assert made.left_out == {"an outside model read passages that are not open to every future reader": 1}
    assert members["preferences"] == []


def test_a_better_answer_that_says_more_than_the_passages_is_left_out(parts: Parts, write: Write) -> None:
    accept(parts, answered(parts), "down", reason="style", correction="900 euros, says Ophelia.")
    made, _ = write()
    assert made.left_out == {"the better answer says more than its passages": 1}


def test_what_nobody_accepted_never_leaves(parts: Parts, write: Write) -> None:
    feedback.rate(parts.catalogue, answered(parts), "up")
    rejected = accept(parts, answered(parts, "travel.md"))
    review.review(parts.catalogue, rejected, "rejected")
    edited = accept(parts, answered(parts, "canteen.md"), "down")
    feedback.edit(parts.catalogue, edited, {"reason": "style"}, person="ann")
    made, members = write()
    assert members["rows"] == members["preferences"] == []
    assert (made.judgements, made.left_out) == (0, {})


# --- one person's influence -------------------------------------------------------------------------------------------


def test_one_persons_share_is_capped_and_counted(parts: Parts, write: Write) -> None:
    def judge(number: int, person: str) -> None:
        question = f"What is leave limit {number}?"
        accept(parts, answered(parts, question=question, standalone=question), person=person)

    with parts.catalogue.atomic():
        for number in range(50):
            judge(number, "mallory")
        judge(49, "ann")
        judge(50, "ann")
    made, members = write()
    assert made.left_out == {"one person's share is full": 30}
    assert (made.judgements, made.people) == (22, 2)
    assert members["manifest"][0]["judgements"]["most_from_one_person"] == 20
    agreed = next(row for row in members["rows"] if row["question"] == "What is leave limit 49?")
    assert agreed["people"] == 2, "what others agree with is taken first"


def test_the_cap_is_a_share_of_what_is_left(parts: Parts) -> None:
    accept(parts, answered(parts))
    (made,) = feedback.judgements(parts.catalogue)
    first = lesson(parts.catalogue, Readable(parts.catalogue), made)
    given = {"mallory": 60, "ann": 20, "bob": 20, "cid": 20, "dan": 20}
    found = [
        replace(first, judgement=replace(made, id=f"{person} {number}", person=person))
        for person, count in given.items()
        for number in range(count)
    ]
    kept = Counter(each.judgement.person for each in bundle.capped(parts.catalogue, found, share=0.25))
    assert kept == {"mallory": 26, "ann": 20, "bob": 20, "cid": 20, "dan": 20}, "27 would be more than a quarter of 107"
    assert len(bundle.capped(parts.catalogue, found, share=1)) == 140
    alone = [each for each in found if each.judgement.person == "mallory"]
    assert len(bundle.capped(parts.catalogue, alone, share=0.25)) == 20


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_same_library_gives_the_same_bytes(parts: Parts, tmp_path: Path) -> None:
    for topic in TOPICS[:4]:
        accept(parts, answered(parts, f"{topic}.md"))
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    first = bundle.write(parts, one, Wanted(), person="local")
    second = bundle.write(parts, two, Wanted(), person="ann")
    assert one.read_bytes() == two.read_bytes()
    assert first.id == second.id
    assert len(list(Audit(parts.catalogue).entries(kind="exported"))) == 1
    assert first.rows["rows.train.jsonl"] + first.rows["rows.held.jsonl"] == 4


def test_the_manifest_names_the_model_the_embedder_and_every_member(parts: Parts, write: Write, tmp_path: Path) -> None:
    accept(parts, answered(parts))
    made, members = write()
    (manifest,) = members["manifest"]
    assert manifest["id"] == made.id
    assert manifest["format"] == 1
    assert manifest["base_model"]["name"] == "small"
    assert manifest["base_model"]["sha256"]["model.safetensors"] == hashlib.sha256(b"model.safetensors").hexdigest()
    assert manifest["embedder"]["identity"] == "word-counts"
    assert manifest["generation"] == parts.catalogue.generation
    with zipfile.ZipFile(tmp_path / "bundle.zip") as opened:
        for name, about in manifest["members"].items():
            assert hashlib.sha256(opened.read(name)).hexdigest() == about["sha256"]
            assert opened.read(name).count(b"\n") == about["rows"] == made.rows[name]
        assert "Training bundle" in opened.read("README.md").decode()


def test_a_bundle_that_fails_leaves_nothing(parts: Parts, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (parts.settings.model / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        bundle.write(parts, folder / "b.zip", Wanted(), person="local")
    (parts.settings.model / "model.safetensors").write_bytes(b"x")
    with pytest.raises(SettingsError, match="cannot be written"):
        bundle.write(parts, tmp_path / "nowhere" / "b.zip", Wanted(), person="local")
    (folder / "taken").mkdir()
    with pytest.raises(SettingsError, match="cannot be put there"):
        bundle.write(parts, folder / "taken", Wanted(), person="local")
    assert [path.name for path in folder.iterdir()] == ["taken"]


def test_without_passages_only_what_was_judged_is_in_it(parts: Parts, write: Write) -> None:
    accept(parts, answered(parts))
    _, members = write(passages=False)
    assert len(members["rows"]) == 1
    assert members["passages.train.jsonl"] == members["passages.held.jsonl"] == []
    _, members = write(collection="none such")
    assert members["rows"] == []


# --- what is withdrawn ------------------------------------------------------------------------------------------------


def test_what_is_taken_back_after_an_export_is_listed_in_every_later_bundle(parts: Parts, write: Write) -> None:
    names = ("leave", "travel", "canteen", "parking", "pension")
    ids = {name: accept(parts, answered(parts, f"{name}.md")) for name in names}
    _, members = write()
    assert members["withdrawn.jsonl"] == []
    feedback.withdraw(parts.catalogue, ids["leave"], person="ann")
    review.review(parts.catalogue, ids["travel"], "rejected")
    feedback.edit(parts.catalogue, ids["canteen"], {"verdict": "down"}, person="ann")
    erased = feedback.judgement(parts.catalogue, ids["parking"]).answer_id
    Audit(parts.catalogue).erase(erased)
    for _ in range(2):
        made, members = write()
        listed = {row["judgement"]: row["reason"] for row in members["withdrawn.jsonl"]}
        assert listed == {
            ids["leave"]: "withdrawn", ids["travel"]: "rejected", ids["canteen"]: "in review again",
            ids["parking"]: "erased",
        }  # fmt: skip
        assert [row["judgements"] for row in members["rows"]] == [[ids["pension"]]]
        assert made.withdrawn == 4
    review.review(parts.catalogue, ids["travel"], "accepted")
    _, members = write()
    assert ids["travel"] not in {row["judgement"] for row in members["withdrawn.jsonl"]}


def test_documents_that_may_not_be_learnt_from_any_more_are_listed(parts: Parts, write: Write) -> None:
    def document(name: str) -> int:
        return parts.catalogue.document(f"{name}.md").id

    ids = {name: document(name) for name in ("leave", "travel", "canteen")}
    write()
    commit.remove(parts.catalogue, parts.catalogue.document("leave.md"))
    commit.set_access(parts.catalogue, parts.catalogue.document("travel.md"), ["ada"])
    put(parts.catalogue, "canteen.md", "The canteen is closed.")
    _, members = write()
    listed = {row["document_id"]: row["reason"] for row in members["withdrawn.jsonl"]}
    assert listed == {ids["leave"]: "removed", ids["travel"]: "closed", ids["canteen"]: "replaced"}


def test_a_document_closed_to_an_earlier_audience_only_is_no_withdrawal(parts: Parts, write: Write) -> None:
    write("ada")
    _, members = write()
    assert members["withdrawn.jsonl"] == [], "board.md was never open to everybody, and is still open to ada"

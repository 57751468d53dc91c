"""A library moves to another embedder: the old one answers until the switch, and no search ever sees both."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rag
from rag import commit, embedders, ingest, reembed
from rag.catalogue import Catalogue
from rag.cli import main
from rag.config import Settings
from rag.embed import NAME, MiniLM
from rag.errors import IndexDamaged, ModelError, NotFound, SettingsError
from rag.parts import Parts, open_parts
from rag.reembed import Progress
from rag.retrieve import retrieve
from rag.vectors import NEXT
from tests.miniature import WordCounts, put

TEXTS = [f"Clause {number} is about the {word}." for number, word in enumerate(["canteen", "garden", "parking"] * 10)]
CANTEEN = "The canteen opens at noon."


class Fewer(WordCounts):
    """Another embedder, with vectors of another length."""

    dimension = 256

    def __init__(self) -> None:
        super().__init__("fewer-words")


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(reembed, "GROUP", 8)
    monkeypatch.setattr(reembed, "LAST", 2)
    opened = open_parts(tmp_path, Settings(index=tmp_path), WordCounts())
    put(opened.catalogue, "many.md", *TEXTS)
    put(opened.catalogue, "canteen.md", CANTEEN)
    opened.refresh()
    yield opened
    opened.close()


def first(parts: Parts, question: str) -> str:
    """By meaning alone: the words would find it whatever became of the vectors."""
    near = parts.vectors.search(question, 1)
    return parts.catalogue.passages(row.passage for row in near)[0].text if near else ""


def kinds(parts: Parts) -> list[str]:
    return [row[0] for row in parts.catalogue.db.execute("select distinct embedder from vectors order by 1")]


def move(parts: Parts, embedder: WordCounts, tell: Callable[[Progress], None] | None = None) -> reembed.Moved:
    return reembed.reembed(parts, embedder, Settings(embedder="fewer"), tell=tell)


def test_until_the_switch_the_old_one_answers_and_afterwards_the_new_one(parts: Parts, tmp_path: Path) -> None:
    seen: list[Progress] = []

    def look(now: Progress) -> None:
        seen.append(now)
        if now.going_on:
            assert parts.catalogue.embedder == "word-counts"
            assert retrieve("the canteen opens at noon", parts=parts, k=1)[0].nearness > 0.99

    moved = move(parts, Fewer(), look)
    assert (moved.finished, moved.passages) == (True, 31)
    assert [now.done for now in seen] == sorted(now.done for now in seen)
    assert (seen[-1].done, seen[-1].total, seen[-1].going_on) == (31, 31, False)
    assert kinds(parts) == ["fewer-words"]
    after = open_parts(tmp_path, parts.settings, Fewer())
    assert first(after, "the canteen opens at noon") == CANTEEN
    assert after.vectors.check() == []
    assert not (tmp_path / NEXT).exists()
    before = (tmp_path / "vectors.faiss").stat().st_mtime_ns
    after.vectors.save()
    assert (tmp_path / "vectors.faiss").stat().st_mtime_ns == before, "the file was written before the switch"


def test_an_answer_that_began_before_the_switch_ends_with_the_old_vectors(parts: Parts, tmp_path: Path) -> None:
    move(parts, Fewer())
    written = (tmp_path / "vectors.faiss").read_bytes()
    assert retrieve("the canteen opens at noon", parts=parts, k=1)[0].text == CANTEEN
    parts.save()
    parts.vectors.catch_up()
    assert first(parts, "the canteen opens at noon") == CANTEEN
    assert (tmp_path / "vectors.faiss").read_bytes() == written, "an old copy must not write over the new file"
    with pytest.raises(IndexDamaged, match="rag reembed"):  # nor may it add vectors of the old kind
        ingest.ingest_bytes(parts, "late.txt", b"Too late for the old embedder.")
    assert kinds(parts) == ["fewer-words"]


def test_a_move_that_was_cut_off_goes_on_where_it_was(parts: Parts) -> None:
    def pull_the_plug(now: Progress) -> None:
        if now.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(parts, Fewer(), pull_the_plug)
    assert first(parts, "the canteen opens at noon") == CANTEEN
    stands = reembed.progress(parts.folder)
    assert stands is not None
    assert not stands.going_on
    assert stands.error
    again = Fewer()
    assert move(parts, again).finished
    assert len(again.embedded) == 31 - reembed.GROUP
    assert kinds(parts) == ["fewer-words"]


def test_what_comes_and_goes_meanwhile_is_moved_and_forgotten(parts: Parts, tmp_path: Path) -> None:
    done: list[str] = []

    def meanwhile(now: Progress) -> None:
        if now.done and not done:
            done.append("once")
            put(parts.catalogue, "new.md", "Bicycles are kept in the yard.")
            commit.remove(parts.catalogue, parts.catalogue.document("canteen.md"))

    move(parts, Fewer(), meanwhile)
    after = open_parts(tmp_path, parts.settings, Fewer())
    assert first(after, "bicycles are kept in the yard") == "Bicycles are kept in the yard."
    assert first(after, "the canteen opens at noon") != CANTEEN
    orphans = "select count(*) from vectors where text_hash not in (select text_hash from passages)"
    assert parts.catalogue.db.execute(orphans).fetchone()[0] == 0
    assert after.vectors.check() == []


def test_it_stops_when_asked_and_only_while_it_goes_on(parts: Parts) -> None:
    with pytest.raises(NotFound, match="rag reembed"):
        reembed.stop(parts.folder)
    moved = move(parts, Fewer(), lambda now: reembed.stop(parts.folder) if now.going_on else None)
    assert not moved.finished
    assert parts.catalogue.embedder == "word-counts"
    assert kinds(parts) == ["fewer-words", "word-counts"] or kinds(parts) == ["word-counts"]


def test_two_at_once_are_refused(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reembed, "PATIENCE_S", 0.0)

    def second(now: Progress) -> None:
        if now.going_on:
            with pytest.raises(SettingsError, match="is being moved"):
                reembed.start(parts.folder, parts.settings)
            with pytest.raises(IndexDamaged, match="is being changed"):
                move(parts, Fewer())

    move(parts, Fewer(), second)


# --- the choice -------------------------------------------------------------------------------------------------------


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "catalogue.db")
    put(opened, "canteen.md", CANTEEN)
    yield opened
    opened.close()


def test_the_choice_is_open_where_the_settings_name_another_and_closed_by_keeping(catalogue: Catalogue) -> None:
    embedders.note(catalogue, "word-counts", "counted")
    assert embedders.choice(catalogue, Settings(embedder="counted")) is None
    other = Settings(embedder="other")
    found = embedders.choice(catalogue, other, WordCounts())
    assert found is not None
    assert (found.current, found.wanted, found.kept, found.answers) == ("counted", "other", False, True)
    embedders.keep(catalogue, other)
    kept = embedders.choice(catalogue, other, WordCounts())
    assert kept is not None
    assert kept.kept
    third = embedders.choice(catalogue, Settings(embedder="third"), WordCounts())
    assert third is not None
    assert not third.kept, "another one is another choice"


def test_an_embedder_whose_weights_changed_under_its_name_is_a_choice_that_cannot_be_kept(catalogue: Catalogue) -> None:
    embedders.note(catalogue, "word-counts", "counted")
    embedders.keep(catalogue, Settings(embedder="counted"))
    found = embedders.choice(catalogue, Settings(embedder="counted"), WordCounts("retrained"))
    assert found is not None
    assert (found.answers, found.kept) == (False, False)
    assert "not here any more" in str(found)


def test_our_own_embedder_is_known_by_its_identity_in_libraries_of_before(catalogue: Catalogue) -> None:
    assert embedders.name_of(catalogue, MiniLM.identity) == NAME


def test_an_empty_library_takes_the_embedder_that_is_named_without_a_move(tmp_path: Path) -> None:
    with rag.open(tmp_path / "index") as library:
        commit.set_embedder(library._catalogue, "former/123/sentence-transformers")
        assert library.embedder_choice() is None
        library._parts()
        assert library._catalogue.embedder == MiniLM.identity


# --- two real embedders -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence encoder of 32 numbers in miniature: real weights, real tokenizer, loaded by sentence-transformers."""
    from sentence_transformers import SentenceTransformer, models
    from transformers import PreTrainedTokenizerFast

    from tests.trainer.bert import bert_folder

    folder = bert_folder(tmp_path_factory.mktemp("little") / "bert")
    tokens = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **tokens).save_pretrained(str(folder))
    word = models.Transformer(str(folder))
    made = SentenceTransformer(modules=[word, models.Pooling(32)], device="cpu")
    made.save(str(folder.parent / "little"))
    return folder.parent / "little"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_library_moves_between_two_real_embedders_through_a_kill(little: Path, papers: Path, tmp_path: Path) -> None:
    index, book = tmp_path / "index", tmp_path / "book"
    shutil.copytree(papers, book)
    for number in range(20):
        (book / f"note{number}.md").write_text(
            "".join(f"# Part {n}\n\n{TEXTS[n % 30]} {number}\n\n" for n in range(20))
        )
    with rag.open(index, Settings(index=index)) as library:
        assert {report.status for report in library.add([book])} == {"added"}

    environment = os.environ | {"GROUNDLING_EMBEDDER": str(little), "GROUNDLING_INDEX": str(index)}
    child = subprocess.Popen([sys.executable, "-m", "rag.cli", "reembed"], env=environment)
    deadline = time.monotonic() + 400
    while (now := reembed.progress(index)) is None or now.done == 0:
        assert time.monotonic() < deadline
        assert child.poll() is None, "it was over before it could be killed: more documents are needed"
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    with rag.open(index, Settings(index=index, embedder=str(little))) as library:
        assert library.search("meal allowance", 1)[0].document == "travel/expenses.md"
        choice, stands = library.embedder_choice(), library.reembedding()
        assert choice is not None
        assert stands is not None
        assert (choice.current, stands.going_on, bool(stands.error)) == (NAME, False, True)
        library.start_reembedding()  # in a process of its own, as the page does
        while (stands := library.reembedding()) and stands.going_on:
            assert library.search("meal allowance", 1), "it answers meanwhile"
            time.sleep(0.2)
        assert stands
        assert stands.error is None
        assert library.embedder_choice() is None, "this handle follows the switch of the other process"
        assert library.search("meal allowance", 1)
        assert library._opened is not None
        assert library._opened.embedder.dimension == 32
        assert library.verify() == []

    with rag.open(index, Settings(index=index)) as library:  # MiniLM is named again: the little one answers on
        assert library.search("meal allowance", 1)
        library.keep_embedder()
        kept = library.embedder_choice()
        assert kept is not None
        assert kept.kept
    shutil.rmtree(little)
    with rag.open(index, Settings(index=index)) as library:
        for refused in (lambda: library.search("meal allowance"), library.repair):
            with pytest.raises(IndexDamaged, match="rag reembed"):
                refused()
        with pytest.raises(ModelError, match="not here any more"):
            library.keep_embedder()
        assert library.reembed().finished
        assert library.search("meal allowance", 1)[0].document == "travel/expenses.md"
        assert library.verify() == []


def test_the_command_refuses_two_wishes_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["reembed", "--keep", "--stop"])
    assert "choose one" in capsys.readouterr().err

"""The audit chain: nothing can be changed, inserted or taken out unseen; contents can be erased."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.audit import Audit
from rag.catalogue import Catalogue
from rag.errors import NotFound

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue(tmp_path / "catalogue.db")
    yield catalogue
    catalogue.close()


@pytest.fixture
def audit(catalogue: Catalogue) -> Audit:
    return Audit(catalogue)


def test_an_answer_comes_back_by_its_id(audit: Audit) -> None:
    entry = audit.record("answer", "ada", {"question": "How many days?", "spans": [[1, 2.5]], "text": "25 “days” 🎉"})
    assert audit.load(entry) == {"question": "How many days?", "spans": [[1, 2.5]], "text": "25 “days” 🎉"}
    assert audit.verify() == []


def test_an_unknown_id_says_so(audit: Audit) -> None:
    with pytest.raises(NotFound, match="answer feed: no such id"):
        audit.load("feed")


def test_entries_come_in_order_and_by_kind(audit: Audit) -> None:
    audit.record("answer", None, {"n": 1})
    audit.record("added", "ada", {"n": 2})
    audit.record("answer", "bob", {"n": 3})
    assert [(entry.seq, entry.person) for entry in audit.entries()] == [(1, "local"), (2, "ada"), (3, "bob")]
    assert [entry.payload for entry in audit.entries(kind="answer")] == [{"n": 1}, {"n": 3}]
    assert [entry.seq for entry in audit.entries(newest_first=True, limit=2)] == [3, 2]


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        ("update audit set person = 'eve' where seq = 2", "row 2 .*do not fit its seal"),
        ("update audit set at = '2020-01-01' where seq = 2", "row 2 .*do not fit its seal"),
        ("update audit set payload = replace(payload, '25', '99') where seq = 2", "row 2 .*content does not fit"),
        ("update audit set payload_hash = 'x' where seq = 2", "row 2 .*do not fit its seal"),
        ("delete from audit where seq = 2", "row 3 .*rows were taken out"),
        ("update audit set previous_seal = 'x' where seq = 2", "row 2 .*does not continue"),
        ("insert into audit select 9, 'x', kind, at, person, payload_hash, seal, seal, '' from audit limit 1", "row 9"),
    ],
)
def test_tampering_is_named(audit: Audit, catalogue: Catalogue, tampering: str, said: str) -> None:
    for days in (25, 25, 25):
        audit.record("answer", "ada", {"text": f"{days} days"})
    assert audit.verify() == []
    catalogue.db.execute(tampering)
    assert any(re.search(said, fault) for fault in audit.verify()), audit.verify()


def test_a_row_sealed_anew_breaks_the_row_after_it(audit: Audit, catalogue: Catalogue) -> None:
    from rag import audit as module

    for _ in range(3):
        audit.record("answer", "ada", {"text": "25 days"})
    columns = "select seq, id, kind, at, person, payload_hash, previous_seal from audit where seq = 2"
    row = catalogue.db.execute(columns).fetchone()
    forged = (*row[:4], "eve", *row[5:])
    catalogue.db.execute("update audit set person = 'eve', seal = ? where seq = 2", (module._seal(forged),))
    assert any("row 3" in fault and "does not continue" in fault for fault in audit.verify())


def test_erasing_keeps_the_chain_and_takes_the_words(tmp_path: Path, audit: Audit, catalogue: Catalogue) -> None:
    entry = audit.record("answer", "ada", {"text": "swordfish"})
    audit.record("answer", "ada", {"text": "other"})
    audit.erase(entry, person="officer")
    assert audit.verify() == []
    with pytest.raises(NotFound, match="was erased"):
        audit.load(entry)
    last = list(audit.entries())[-1]
    assert (last.kind, last.person, last.payload) == ("erased", "officer", {"entry": entry})
    catalogue.truncate()
    assert b"swordfish" not in (tmp_path / "catalogue.db").read_bytes()


def test_equal_contents_have_different_hashes(audit: Audit, catalogue: Catalogue) -> None:
    audit.record("answer", "ada", {"text": "yes"})
    audit.record("answer", "ada", {"text": "yes"})
    assert catalogue.db.execute("select count(distinct payload_hash) from audit").fetchone()[0] == 2


def test_an_event_of_a_failed_transaction_never_happened(audit: Audit, catalogue: Catalogue) -> None:
    with pytest.raises(RuntimeError), catalogue.atomic():  # noqa: PT012 - the block is the case
        audit.record("added", None, {"document": "a.md"})
        raise RuntimeError
    assert list(audit.entries()) == []
    audit.record("added", None, {"document": "b.md"})
    assert audit.verify() == []


def test_threads_and_processes_do_not_fork_the_chain(tmp_path: Path, audit: Audit) -> None:
    code = (
        "import sys; from pathlib import Path; from rag.audit import Audit; from rag.catalogue import Catalogue\n"
        "audit = Audit(Catalogue(Path(sys.argv[1])))\n"
        "for n in range(20): audit.record('answer', 'child', {'n': n})"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "catalogue.db")]
    children = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]

    def record() -> None:
        for n in range(20):
            audit.record("answer", "thread", {"n": n})

    threads = [threading.Thread(target=record) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    assert audit.verify() == []
    assert [entry.seq for entry in audit.entries()] == list(range(1, 101))

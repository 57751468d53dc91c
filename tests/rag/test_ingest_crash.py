"""Power lost at any moment: a child process that ingests is killed at a given step, and the index is opened again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rag import ingest
from rag.config import Settings
from rag.parts import Parts, open_parts
from tests.miniature import WordCounts

ROOT = Path(__file__).resolve().parents[2]
OLD = {"a.txt": "Leave is 25 days.", "b.txt": "Parking is free.", "d.txt": "Smoking rooms are on floor two."}
NEW = {"a.txt": "Leave is 27 days.", "b.txt": "Parking is free.", "c.txt": "Dogs are welcome on Fridays."}

KILLED = """
import importlib, os, signal, sys
from pathlib import Path
from rag import ingest
from rag.config import Settings
from rag.parts import open_parts
from tests.miniature import WordCounts

index, folder, where, when, count = sys.argv[1:]
owner, name = where.rsplit(".", 1)
try:
    holder = importlib.import_module(owner)
except ModuleNotFoundError:
    module, holder_name = owner.rsplit(".", 1)
    holder = getattr(importlib.import_module(module), holder_name)
real, left = getattr(holder, name), [int(count)]

def step(*args, **named):
    if when == "after":
        result = real(*args, **named)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result if when == "after" else real(*args, **named)

parts = open_parts(Path(index), Settings(), WordCounts())
ingest.GROUP = 1  # a group a document: more moments to die in
setattr(holder, name, step)
ingest.ingest(parts, [Path(folder)], sync=True)
"""

SELDOM = pytest.mark.slow  # a process each: in the default run every kind of moment dies once
MOMENTS = [
    ("tests.miniature.WordCounts.embed", "after", 1),
    ("rag.commit._insert_passages", "after", 2),
    ("rag.ingest._finish", "before", 1),
    ("rag.lexical._commit", "before", 1),
    ("rag.lexical._commit", "after", 1),
    ("rag.commit.remove", "after", 1),
    ("pathlib.Path.rename", "before", 1),  # of the words' folder: out of the way
    ("pathlib.Path.rename", "after", 1),
    ("pathlib.Path.rename", "after", 2),  # the new one in its place
    ("pathlib.Path.replace", "before", 1),  # of the vectors' file
    pytest.param("tests.miniature.WordCounts.embed", "after", 2, marks=SELDOM),
    pytest.param("rag.commit._insert_document", "after", 1, marks=SELDOM),
    pytest.param("rag.commit._drop_unused", "after", 1, marks=SELDOM),
    pytest.param("rag.ingest._finish", "after", 2, marks=SELDOM),
    pytest.param("rag.lexical._commit", "after", 2, marks=SELDOM),
    pytest.param("rag.vectors.Vectors.catch_up", "before", 1, marks=SELDOM),
    pytest.param("rag.commit.remove", "before", 1, marks=SELDOM),
    pytest.param("rag.vector_file._measure", "after", 1, marks=SELDOM),
    pytest.param("pathlib.Path.replace", "after", 1, marks=SELDOM),
]


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)


def state(parts: Parts) -> dict[str, str]:
    """What stands in the catalogue, after checking that everything else agrees with it."""
    texts = {}
    for listed in parts.catalogue.documents():
        document = parts.catalogue.document_of(listed.id, with_text=True)
        passages = parts.catalogue.passages_of(document.id)
        assert [passage.text for passage in passages] == [document.text]
        assert len(passages) == document.passages
        texts[document.name] = document.text
    assert parts.vectors.check() + parts.lexical.check() + parts.audit.verify() == []
    assert parts.catalogue.db.execute("pragma integrity_check").fetchone()[0] == "ok"
    assert parts.catalogue.db.execute("pragma foreign_key_check").fetchall() == []
    for text in texts.values():
        for store in (parts.vectors, parts.lexical):
            first = store.search(text, 1)[0].passage
            assert parts.catalogue.passages([first])[0].text == text
    return texts


@pytest.mark.parametrize(("where", "when", "count"), MOMENTS)
def test_a_crash_leaves_the_old_state_or_the_new_one_of_each_document(
    tmp_path: Path, where: str, when: str, count: int
) -> None:
    index, folder = tmp_path / "index", tmp_path / "papers"
    write(folder, OLD)
    parts = open_parts(index, Settings(), WordCounts())
    ingest.ingest(parts, [folder])
    parts.close()
    write(folder, NEW)

    command = [sys.executable, "-c", KILLED, str(index), str(folder), where, when, str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == -9, f"was not killed: {done.stderr}"

    parts = open_parts(index, Settings(), WordCounts())
    after = state(parts)
    for name in OLD | NEW:
        assert after.get(name) in (OLD.get(name), NEW.get(name)), name
    ingest.ingest(parts, [folder], sync=True)  # and once more, undisturbed
    assert state(parts) == NEW
    parts.close()
    left = sorted(path.name for path in index.iterdir() if path.name.startswith(("lexical.", "vectors.faiss.")))
    assert left == []

"""Which models learnt from what: marks after a removal, the last clean version, what a model inherits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag import lineage
from rag.errors import ModelError
from rag.library import Library
from rag.promote import problems
from rag.versions import Versions
from tests.miniature import small_library


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with small_library(tmp_path / "index") as opened:
        for name in ("leave.md", "meals.md", "hotels.md"):
            opened.add_bytes(name, f"# {name}\n\nThe rule of {name} is long.\n".encode())
        yield opened


def model(folder: Path, rows: list[dict[str, Any]] | None, *, base: str = "00000000", bundle: str = "b") -> Path:
    """A folder with the names of a model's files: what is in them is not looked at here."""
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).write_text(json.dumps({"name": folder.name}))
    if rows is not None:
        told = {"format": 1, "bundle": bundle, "base": {"name": "base", "fingerprint": base}, "rows": rows}
        (folder / "lineage.json").write_text(json.dumps(told))
    return folder


def taught(library: Library, *names: str) -> list[dict[str, Any]]:
    """Rows that come from these documents, which a bundle held."""
    ids = [library.document(name).id for name in names]
    with library._catalogue.atomic() as db:
        db.execute("insert or ignore into bundles values ('b', '2026-01-01', 'local', 1)")
        db.executemany("insert or ignore into bundle_documents values ('b', ?, 0)", [(one,) for one in ids])
    return [{"id": str(one), "document_id": one, "judgements": []} for one in ids]


def add(library: Library, folder: Path, rows: list[dict[str, Any]] | None, **about: str) -> int:
    from rag.read import fingerprint

    made = model(folder, rows, **about)
    return Versions(library.path).add(made, {"fingerprint": fingerprint(made), "from": None})


def test_removing_a_document_names_and_marks_the_models_that_saw_it(library: Library, tmp_path: Path) -> None:
    add(library, tmp_path / "one", taught(library, "meals.md"))
    add(library, tmp_path / "two", taught(library, "leave.md", "meals.md"))
    assert library.models_that_saw("leave.md") == [2]
    assert [row["marks"] for row in library.versions()] == [[], [], []]
    report = library.remove("leave.md")
    assert (report.models, report.back) == ((2,), "")
    assert report.as_dict()["models"] == (2,)
    rows = {row["version"]: row for row in library.versions()}
    assert rows[2]["marks"] == ["it saw leave.md, which was removed since"]
    assert rows[1]["marks"] == []
    assert [number for number, row in rows.items() if row["last_clean"]] == [1]
    Versions(library.path).switch(2)
    assert library.remove("meals.md").back == "base"
    assert [row["version"] for row in library.versions() if row["last_clean"]] == [None]


def test_the_last_model_that_did_not_see_it_is_offered_where_the_one_that_answers_did(
    library: Library, tmp_path: Path
) -> None:
    add(library, tmp_path / "one", taught(library, "meals.md"))
    add(library, tmp_path / "two", taught(library, "leave.md", "meals.md"))
    add(library, tmp_path / "three", [{"id": "strange", "document_id": 1}], bundle="of another library")
    Versions(library.path).switch(2)
    report = library.remove("leave.md")
    assert (report.models, report.back) == ((2,), "1"), "nobody knows what the third one saw"


def test_a_row_that_showed_two_documents_is_one_row(library: Library, tmp_path: Path) -> None:
    lines = taught(library, "leave.md", "meals.md")
    add(library, tmp_path / "one", [{**line, "id": "row-7"} for line in lines])
    [_, row] = library.versions()
    assert (row["rows"], row["documents"]) == (1, 2)


def test_a_new_version_of_a_document_marks_nothing_and_is_still_known(library: Library, tmp_path: Path) -> None:
    add(library, tmp_path / "one", taught(library, "leave.md"))
    library.add_bytes("leave.md", b"# leave.md\n\nThe rule is short now.\n")
    assert library.versions()[1]["marks"] == []
    assert library.models_that_saw("leave.md") == [1]
    assert library.remove("leave.md").models == (1,)
    assert library.versions()[1]["marks"] == ["it saw leave.md, which was removed since"]


def test_a_document_that_was_closed_since_is_a_mark_too(library: Library, tmp_path: Path) -> None:
    from rag import commit

    add(library, tmp_path / "one", taught(library, "leave.md"))
    commit.set_access(library._catalogue, library.document("leave.md"), ["ada"])
    assert library.versions()[1]["marks"] == ["it saw leave.md, which was closed since"]


def test_a_model_inherits_what_the_one_it_was_made_from_had_learnt(library: Library, tmp_path: Path) -> None:
    from rag.read import fingerprint

    first = add(library, tmp_path / "one", taught(library, "leave.md"))
    before = fingerprint(Versions(library.path).path(first))
    add(library, tmp_path / "two", taught(library, "meals.md"), base=before)
    assert library.models_that_saw("leave.md") == [1, 2]
    assert [row["documents"] for row in library.versions()] == [0, 1, 2]


def test_what_a_model_carries_of_its_forebears_counts_where_they_are_gone(library: Library, tmp_path: Path) -> None:
    add(library, tmp_path / "one", taught(library, "meals.md"), base="ffffffff")
    file = Versions(library.path).path(1) / "lineage.json"
    earlier = {"format": 1, "bundle": "b", "base": {}, "rows": taught(library, "leave.md")}
    file.write_text(json.dumps({**json.loads(file.read_text()), "earlier": [earlier]}))
    assert library.models_that_saw("leave.md") == [1]
    assert library.versions()[1]["documents"] == 2


def test_a_model_without_a_lineage_may_have_seen_everything(library: Library, tmp_path: Path) -> None:
    add(library, tmp_path / "one", None)
    assert library.models_that_saw("leave.md") == [1]
    assert library.versions()[1]["marks"] == [lineage.UNKNOWN]


def test_a_lineage_of_another_format_is_refused_by_name(tmp_path: Path) -> None:
    folder = model(tmp_path / "one", [])
    (folder / "lineage.json").write_text('{"format": 2, "rows": [], "base": {}}')
    with pytest.raises(ModelError, match=r"lineage.json: format 2; need format 1"):
        lineage.read(folder)


def test_what_was_removed_by_a_sync_names_the_models_as_well(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    for name in ("a.md", "b.md"):
        (folder / name).write_text(f"# {name}\n\nThe words of {name}.\n")
    library.add(folder)
    add(library, tmp_path / "one", taught(library, "a.md"))
    (folder / "a.md").unlink()
    reports = {report.document: report for report in library.add(folder, sync=True)}
    assert reports["a.md"].status == "removed"
    assert reports["a.md"].models == (1,)
    assert "models" not in reports["b.md"].as_dict()


def test_a_switch_that_no_row_of_the_audit_explains_is_told(library: Library, tmp_path: Path) -> None:
    add(library, tmp_path / "one", [])
    assert problems(library._catalogue, library.path) == []
    Versions(library.path).switch(1, audit="nobody")
    [told] = problems(library._catalogue, library.path)
    assert "version 1 answers, and no row of the audit says why" in told
    (library.path / "models" / "1").rename(tmp_path / "gone")
    assert "version 1: not there" in problems(library._catalogue, library.path)[0]


def test_rows_of_another_library_are_told_apart_from_documents_of_this_one(library: Library, tmp_path: Path) -> None:
    strange = [{"document_id": library.document("leave.md").id, "judgements": []}]
    add(library, tmp_path / "one", strange)  # the bundle is not one of this library's
    assert library.models_that_saw("leave.md") == []
    assert library.versions()[1]["marks"] == ["1 of the rows that taught it come from another library"]

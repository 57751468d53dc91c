"""Clean text is cut into passages that stand under their headings, whole and in order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.trainer.office import page
from trainer import recipe
from trainer.errors import DataError
from trainer.synthesis import cutting, passages

TEXT = f"""# Travel

Flights over 900 pounds are approved by the travel desk before they are booked, and trains never are.

## Hotels

{page(1, 30)}

## Tiny

Too short.
"""


def cut(folder: Path, *texts: str, **settings: object) -> list[dict[str, object]]:
    clean = folder / "clean"
    clean.mkdir(exist_ok=True)
    lines = [json.dumps({"text": text, "source": "hr.md", "licence": "CC0-1.0"}) for text in texts]
    (clean / "handbooks.train.jsonl").write_text("\n".join(lines), "utf-8")
    plan = recipe.Recipe("t", folder, folder, {"passages": {"least": 60, "characters": 300, **settings}})
    made = cutting.passages(plan)
    assert len(list(passages.read(made))) == passages.count(made)  # the stage that follows takes it
    return [json.loads(line) for line in made.read_text("utf-8").splitlines()]


def test_nothing_is_lost_and_nothing_is_longer_than_asked(tmp_path: Path) -> None:
    made = cut(tmp_path, TEXT)
    hotels = [row["text"] for row in made if row["headings"] == ["Travel", "Hotels"]]
    assert len(hotels) > 3
    assert max(map(len, hotels)) <= 300
    assert " ".join(" ".join(hotels).split()) == " ".join(page(1, 30).split())


def test_a_passage_keeps_headings_document_domain_and_licence(tmp_path: Path) -> None:
    first = cut(tmp_path, TEXT)[0]
    assert first["headings"] == ["Travel"]
    assert (first["document"], first["domain"], first["licence"]) == ("hr.md#0", "handbooks", "CC0-1.0")
    assert str(first["text"]).startswith("Flights over 900 pounds")


def test_short_sections_are_left_out(tmp_path: Path) -> None:
    assert not [row for row in cut(tmp_path, TEXT) if "Tiny" in row["headings"]]  # type: ignore[operator]


def test_so_many_documents_are_drawn_by_the_seed(tmp_path: Path) -> None:
    texts = [TEXT.replace("900", str(n)) for n in range(9)]
    drawn = [{row["document"] for row in cut(tmp_path, *texts, documents=3, seed=seed)} for seed in (1, 1, 2)]
    assert [len(d) for d in drawn] == [3, 3, 3]
    assert drawn[0] == drawn[1] != drawn[2]


def test_text_without_a_section_is_refused_and_the_older_file_stays(tmp_path: Path) -> None:
    before = cut(tmp_path, TEXT)
    with pytest.raises(DataError, match=r"no section under a heading of at least 60 characters; give Markdown"):
        cut(tmp_path, "no heading here, only words")
    assert [json.loads(line) for line in (tmp_path / "passages.jsonl").read_text("utf-8").splitlines()] == before


def test_a_run_without_clean_text_names_the_stage_before(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"run `trainer corpus`"):
        cutting.passages(recipe.Recipe("t", tmp_path, tmp_path, {}))

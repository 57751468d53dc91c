"""Removing a document that a model learnt from: the page says which model, and which one never saw it."""

from __future__ import annotations

from pathlib import Path

import pytest

import rag
from rag.config import Settings
from rag.versions import Versions
from tests.rag.test_lineage import add, taught
from tests.test_app import in_a_folder_of_its_own, open_page, press_inside, words

__all__ = ["in_a_folder_of_its_own"]


@pytest.mark.slow  # draws a page three times
def test_the_documents_page_names_the_models_that_saw_a_removed_document(
    in_a_folder_of_its_own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = in_a_folder_of_its_own / "index"
    monkeypatch.setenv("GROUNDLING_INDEX", str(index))
    monkeypatch.setenv("GROUNDLING_MODEL", str(in_a_folder_of_its_own / "missing"))
    with rag.open(index, Settings(index=index)) as library:
        library.add_bytes("leave.md", b"# Leave\n\nThere are 27 days of leave.\n")
        library.add_bytes("meals.md", b"# Meals\n\nA meal costs 8 euros.\n")
        add(library, in_a_folder_of_its_own / "one", taught(library, "leave.md"))
        add(library, in_a_folder_of_its_own / "two", taught(library, "leave.md", "meals.md"))
        removed, kept = library.document("meals.md").id, library.document("leave.md").id
    Versions(index).switch(2)
    page = open_page()
    page.switch_page("app_pages/documents.py").run()
    page.button(key=f"remove-{removed}").click()
    page.run()
    assert "Model version 2 learnt from it and will be marked." in words(page)
    press_inside(page, f"remove-{removed}", "remove-yes")
    told = words(page)
    assert (
        "“meals.md” is removed. Model version 2 learnt from it; version 1 never saw it, and Training returns to it (rag promote --back 1)."
        in told
    )
    page.button(key=f"remove-{kept}").click()
    page.run()
    press_inside(page, f"remove-{kept}", "remove-yes")
    assert "the base never saw it, and Training returns to it (rag promote --back base)." in words(page)

"""The Documents page where the settings name another embedder: the notice, a move that fails, keeping the present one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import rag
from rag.config import Settings
from tests.test_app import in_a_folder_of_its_own, open_page, press, words

__all__ = ["in_a_folder_of_its_own"]


@pytest.mark.slow  # starts a process that loads an embedder
def test_the_page_offers_to_move_or_to_keep_and_tells_why_a_move_ended(
    in_a_folder_of_its_own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = in_a_folder_of_its_own / "index"
    with rag.open(index, Settings(index=index)) as library:
        library.add_bytes("leave.md", b"# Leave\n\nThere are 27 days of leave.\n")
    monkeypatch.setenv("GROUNDLING_INDEX", str(index))
    monkeypatch.setenv("GROUNDLING_MODEL", str(in_a_folder_of_its_own / "missing"))
    monkeypatch.setenv("GROUNDLING_EMBEDDER", "/nowhere/encoder")
    page = open_page()
    page.switch_page("app_pages/documents.py").run()
    assert "The library answers with the embedder all-MiniLM-L6-v2; the settings name /nowhere/encoder." in words(page)
    press(page, "embedder-move")
    deadline = time.monotonic() + 300
    while "stopped at" not in words(page):
        assert time.monotonic() < deadline
        page.run()
    assert "/nowhere/encoder: not a sentence-transformers model on this machine" in words(page)
    press(page, "embedder-keep")
    assert "The library stays with all-MiniLM-L6-v2." in words(page)
    page.run()
    assert "/nowhere/encoder" not in words(page)
    with rag.open(index, Settings(index=index, embedder="/nowhere/encoder")) as library:
        assert library.search("days of leave", 1)[0].document == "leave.md"

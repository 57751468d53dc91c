"""Our search inside LangChain and LlamaIndex, with the real packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.library import Library
from tests.miniature import put, small_library


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = small_library(tmp_path / "index")
    put(library._catalogue, "yard.md", "Twelve cars fit into the yard.")
    put(library._catalogue, "gate.md", "The gate opens at seven.")
    put(library._catalogue, "safe.md", "The safe stands behind the yard.", access=("ada",))
    return library


def test_langchain_gets_passages_with_their_place(library: Library) -> None:
    from rag.langchain import GroundlingRetriever

    found = GroundlingRetriever(library=library, k=1, person="bob").invoke("How many cars fit into the yard?")
    assert [document.page_content for document in found] == ["Twelve cars fit into the yard."]
    place = found[0].metadata
    text = library.document(place["document"], place["version"]).text
    assert text[place["start"] : place["end"]] == found[0].page_content
    everywhere = GroundlingRetriever(library=library, k=9, person="bob").batch(["the safe behind the yard"])[0]
    assert "safe.md" not in {document.metadata["document"] for document in everywhere}


@pytest.mark.slow  # importing LlamaIndex takes seconds
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_llamaindex_gets_nodes_with_scores(library: Library) -> None:
    from rag.llamaindex import GroundlingRetriever

    found = GroundlingRetriever(library, k=2, person="bob").retrieve("How many cars fit into the yard?")
    assert found[0].get_content() == "Twelve cars fit into the yard."
    assert found[0].metadata["document"] == "yard.md"
    assert found[0].score == max(node.score or 0 for node in found)
    hidden = GroundlingRetriever(library, k=9, person="bob").retrieve("the safe behind the yard")
    assert "safe.md" not in {node.metadata["document"] for node in hidden}

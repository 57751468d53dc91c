"""A retriever for LangChain: `pip install "groundling[langchain]"`.

    retriever = GroundlingRetriever(library=rag.open("indexes/hr"), k=5)
    retriever.invoke("How many days of leave do I have?")

Takes   an open library; `person` and `collection` as everywhere.
Gives   LangChain documents, best first: the passage's exact words, and in `metadata` where they stand.
"""

from __future__ import annotations

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from rag.library import Library


class GroundlingRetriever(BaseRetriever):
    """The library's own search."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    library: Library
    k: int = 5
    collection: str | None = None
    person: str | None = None

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - the base class's signature
    ) -> list[Document]:
        keys = ("document", "version", "page", "time", "start", "end", "score")
        return [
            Document(hit.text, id=str(hit.passage.id), metadata={key: getattr(hit, key) for key in keys})
            for hit in self.library.search(query, self.k, collection=self.collection, person=self.person)
        ]

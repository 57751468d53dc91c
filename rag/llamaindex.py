"""A retriever for LlamaIndex: `pip install "groundling[llamaindex]"`.

    retriever = GroundlingRetriever(rag.open("indexes/hr"), k=5)
    retriever.retrieve("How many days of leave do I have?")

Takes   an open library; `person` and `collection` as everywhere.
Gives   nodes with scores, best first: the passage's exact words, and in `metadata` where they stand.
"""

from __future__ import annotations

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from rag.library import Library


class GroundlingRetriever(BaseRetriever):
    """The library's own search."""

    def __init__(
        self, library: Library, *, k: int = 5, collection: str | None = None, person: str | None = None
    ) -> None:
        super().__init__()
        self.library, self.k, self.collection, self.person = library, k, collection, person

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        keys = ("document", "version", "page", "time", "start", "end")
        return [
            NodeWithScore(
                node=TextNode(
                    id_=str(hit.passage.id), text=hit.text, metadata={key: getattr(hit, key) for key in keys}
                ),
                score=hit.score,
            )
            for hit in self.library.search(
                query_bundle.query_str, self.k, collection=self.collection, person=self.person
            )
        ]

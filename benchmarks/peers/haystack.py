"""Haystack, as its documentation recommends: converters, DocumentSplitter, SentenceTransformersDocumentEmbedder,
InMemoryDocumentStore with its BM25 and embedding retrievers, DocumentJoiner (reciprocal rank).

Settings: passages of 150 words without overlap (about our 900 characters), batches of 64; Markdown
is read as text, which is faster than MarkdownToDocument.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from haystack import Document
from haystack.components.converters import HTMLToDocument, TextFileToDocument
from haystack.components.joiners import DocumentJoiner
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)

WORDS, BATCH = 150, 64
FILE = "store.json"


class Peer:
    """Documents under their ids."""

    def __init__(self, model: Path, options: dict[str, Any]) -> None:
        batch = options.get("batch_size", BATCH)
        how: dict[str, Any] = {"model": str(model), "progress_bar": False, "normalize_embeddings": True}
        self.passages = SentenceTransformersDocumentEmbedder(**how, batch_size=batch)
        self.questions = SentenceTransformersTextEmbedder(**how)
        self.passages.warm_up()
        self.questions.warm_up()
        self.questions.run("warm")
        self.joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion")

    def add_files(self, files: Sequence[Path], index: Path) -> tuple[int, int]:
        """Convert, split, embed, write, save."""
        html = [file for file in files if file.suffix == ".html"]
        plain = [file for file in files if file.suffix != ".html"]
        documents = TextFileToDocument().run(sources=plain)["documents"]
        documents += HTMLToDocument().run(sources=html)["documents"] if html else []
        splitter = DocumentSplitter(split_by="word", split_length=WORDS, split_overlap=0)
        splitter.warm_up()
        parts = splitter.run(documents=documents)["documents"]
        self._write(self.passages.run(documents=parts)["documents"], index)
        return len(parts), sum(len(part.content or "") for part in parts)

    def add_texts(self, texts: Sequence[tuple[str, str]], vectors: Any, index: Path) -> None:
        """Index passages under their ids."""
        documents = [Document(id=identity, content=text) for identity, text in texts]
        if vectors is None:
            documents = self.passages.run(documents=documents)["documents"]
        else:
            rows = zip(texts, vectors.tolist(), strict=True)
            documents = [Document(id=identity, content=text, embedding=row) for (identity, text), row in rows]
        self._write(documents, index)

    def _write(self, documents: list[Any], index: Path) -> None:
        store = InMemoryDocumentStore(embedding_similarity_function="cosine")
        store.write_documents(documents)
        store.save_to_disk(str(index / FILE))

    def open(self, index: Path) -> None:
        """The store from its file."""
        self.store = InMemoryDocumentStore.load_from_disk(str(index / FILE))
        self.words, self.meaning = InMemoryBM25Retriever(self.store), InMemoryEmbeddingRetriever(self.store)

    def search(self, query: str, k: int, method: str) -> list[str]:
        """Vectors alone, or both retrievers fused by reciprocal rank."""
        vector = self.questions.run(query)["embedding"]
        found = self.meaning.run(query_embedding=vector, top_k=k)["documents"]
        if method != "meaning":
            words = self.words.run(query=query, top_k=k)["documents"]
            found = self.joiner.run([words, found], top_k=k)["documents"]
        return [one.id for one in found]

    def change(self, identity: str, text: str, index: Path) -> None:
        """Delete, embed, write, save."""
        self.store.delete_documents([identity])
        self.store.write_documents(self.passages.run(documents=[Document(id=identity, content=text)])["documents"])
        self.store.save_to_disk(str(index / FILE))

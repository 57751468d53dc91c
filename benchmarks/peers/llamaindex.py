"""LlamaIndex, as its documentation recommends: SimpleDirectoryReader, SentenceSplitter, HuggingFaceEmbedding,
VectorStoreIndex over FAISS, BM25Retriever and QueryFusionRetriever (reciprocal rank, no generated queries).

Settings: passages of 200 tokens without overlap (about our 900 characters), batches of 64. The BM25 retriever cannot be
changed in place and is made again from the docstore after a change; it is saved and opened by its own functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
from llama_index.core import SimpleDirectoryReader, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.retrievers.bm25 import BM25Retriever
from llama_index.vector_stores.faiss import FaissMapVectorStore

SIZE, OVERLAP, BATCH, WIDTH = 200, 0, 64, 384


class Peer:
    """A node an id; nodes of files bear the ids that LlamaIndex gives them."""

    def __init__(self, model: Path, options: dict[str, Any]) -> None:
        batch = options.get("batch_size", BATCH)
        self.embedding = HuggingFaceEmbedding(model_name=str(model), device="cpu", embed_batch_size=batch)
        self.embedding.get_query_embedding("warm")

    def add_files(self, files: Sequence[Path], index: Path) -> tuple[int, int]:
        """Read, split, index."""
        loaded = SimpleDirectoryReader(input_files=list(files)).load_data()
        nodes = SentenceSplitter(chunk_size=SIZE, chunk_overlap=OVERLAP).get_nodes_from_documents(loaded)
        self._write(nodes, index)
        return len(nodes), sum(len(node.get_content()) for node in nodes)

    def add_texts(self, texts: Sequence[tuple[str, str]], vectors: Any, index: Path) -> None:
        """Index passages under their ids."""
        nodes = [TextNode(id_=identity, text=text) for identity, text in texts]
        if vectors is not None:
            for node, vector in zip(nodes, vectors.tolist(), strict=True):
                node.embedding = vector
        self._write(nodes, index)

    def _write(self, nodes: list[Any], index: Path) -> None:
        flat = faiss.IndexIDMap2(faiss.IndexFlatIP(WIDTH))
        storage = StorageContext.from_defaults(vector_store=FaissMapVectorStore(flat))
        made = VectorStoreIndex(nodes, storage_context=storage, embed_model=self.embedding, store_nodes_override=True)
        made.storage_context.persist(str(index))
        BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=10).persist(str(index / "words"))

    def open(self, index: Path) -> None:
        """Both from their files."""
        store = FaissMapVectorStore.from_persist_dir(str(index))
        storage = StorageContext.from_defaults(vector_store=store, persist_dir=str(index))
        self.index = load_index_from_storage(storage, embed_model=self.embedding, store_nodes_override=True)
        self.words = BM25Retriever.from_persist_dir(str(index / "words"))

    def search(self, query: str, k: int, method: str) -> list[str]:
        """Vectors alone, or both retrievers fused by reciprocal rank."""
        retriever: Any = self.index.as_retriever(similarity_top_k=k)
        if method != "meaning":
            self.words.similarity_top_k = k
            retriever = QueryFusionRetriever(
                [retriever, self.words], similarity_top_k=k, num_queries=1, mode="reciprocal_rerank", llm=MockLLM(),
                use_async=False,
            )  # fmt: skip
        return [found.node.node_id for found in retriever.retrieve(query)]

    def change(self, identity: str, text: str, index: Path) -> None:
        """Delete, insert, save; BM25 is made again."""
        self.index.delete_nodes([identity], delete_from_docstore=True)
        self.index.insert_nodes([TextNode(id_=identity, text=text)])
        self.index.storage_context.persist(str(index))
        nodes = list(self.index.docstore.docs.values())
        self.words = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=10)
        self.words.persist(str(index / "words"))

"""LangChain, as its documentation recommends: loaders, RecursiveCharacterTextSplitter, HuggingFaceEmbeddings, FAISS,
BM25Retriever and EnsembleRetriever (half and half).

Settings: passages of 900 characters without overlap (ours, so that none embeds more), batches of 64. FAISS keeps its
documents in a docstore beside it (`save_local`); BM25Retriever has no file and is made again on opening, and after a
change.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.document_loaders import BSHTMLLoader, TextLoader
from langchain_community.retrievers import BM25Retriever
from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter

SIZE, OVERLAP, BATCH = 900, 0, 64


class Peer:
    """Ids are kept in the documents' metadata; for files the texts themselves are given."""

    def __init__(self, model: Path, options: dict[str, Any]) -> None:
        how = {"batch_size": options.get("batch_size", BATCH), "normalize_embeddings": True}
        self.embeddings = HuggingFaceEmbeddings(
            model_name=str(model), model_kwargs={"device": "cpu"}, encode_kwargs=how
        )
        self.embeddings.embed_query("warm")

    def add_files(self, files: Sequence[Path], index: Path) -> tuple[int, int]:
        """Load, split, index."""
        loaded = [document for file in files for document in _loader(file).load()]
        parts = RecursiveCharacterTextSplitter(chunk_size=SIZE, chunk_overlap=OVERLAP).split_documents(loaded)
        FAISS.from_documents(parts, self.embeddings).save_local(str(index))
        BM25Retriever.from_documents(parts)
        return len(parts), sum(len(part.page_content) for part in parts)

    def add_texts(self, texts: Sequence[tuple[str, str]], vectors: Any, index: Path) -> None:
        """Index passages under their ids."""
        ids, words = [identity for identity, _ in texts], [text for _, text in texts]
        about = [{"id": identity} for identity in ids]
        if vectors is None:
            store = FAISS.from_texts(words, self.embeddings, metadatas=about, ids=ids)
        else:
            pairs = list(zip(words, vectors.tolist(), strict=True))
            store = FAISS.from_embeddings(pairs, self.embeddings, metadatas=about, ids=ids)
        store.save_local(str(index))
        BM25Retriever.from_texts(words, metadatas=about)

    def open(self, index: Path) -> None:
        """FAISS from its file (a pickle, which the caller has to allow), BM25 from its documents."""
        self.store = FAISS.load_local(str(index), self.embeddings, allow_dangerous_deserialization=True)
        self._words()

    def search(self, query: str, k: int, method: str) -> list[str]:
        """Vectors alone, or both retrievers fused by reciprocal rank."""
        if method == "meaning":
            found = self.store.similarity_search(query, k=k)
        else:
            self.words.k = k
            meaning = self.store.as_retriever(search_kwargs={"k": k})
            found = EnsembleRetriever(retrievers=[self.words, meaning], weights=[0.5, 0.5]).invoke(query)[:k]
        return [one.metadata.get("id", one.page_content) for one in found]

    def change(self, identity: str, text: str, index: Path) -> None:
        """Delete, add, save; BM25 is made again."""
        self.store.delete([identity])
        self.store.add_documents([Document(text, metadata={"id": identity})], ids=[identity])
        self.store.save_local(str(index))
        self._words()

    def _words(self) -> None:
        documents = [self.store.docstore.search(each) for each in self.store.index_to_docstore_id.values()]
        self.words = BM25Retriever.from_documents(documents)


def _loader(file: Path) -> Any:
    return BSHTMLLoader(file) if file.suffix == ".html" else TextLoader(file, encoding="utf-8")

"""OpenAI's embeddings: the vectors that passages are found by.

Takes   one text or up to MOST, each of any length (the first 256 tokens count), in one JSON request.
Gives   unit vectors, as numbers or base64 of float32 in little-endian order (what OpenAI's Python client asks for).
Refuses lists of token numbers, other models and other lengths of vector (400, 404).
"""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rag.api.chat import tokens
from rag.api.door import AtDoor, Held
from rag.api.problem import Problem

MOST = 256  # texts in one request
Words = Annotated[str, StringConstraints(min_length=1)]
routes = APIRouter(prefix="/v1", tags=["OpenAI"])


class EmbeddingRequest(BaseModel):
    """OpenAI's request."""

    model_config = ConfigDict(extra="forbid")

    model: str
    input: Words | Annotated[list[Words], Field(min_length=1, max_length=MOST)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None


class Embedding(BaseModel):
    """One text's vector."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """An estimate, four bytes a token."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """In the order of the texts."""

    object: Literal["list"] = "list"
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage


@routes.post("/embeddings")
async def embed(request: EmbeddingRequest, door: AtDoor, library: Held) -> Embeddings:
    """Unit vectors of texts, made by the embedder of the library."""
    name = library.embedder_name
    if request.model != name:
        raise Problem(
            404, f"{request.model}: no such embedder. Here it is {name}", code="model_not_found", param="model"
        )
    texts = [request.input] if isinstance(request.input, str) else request.input
    vectors = await door.desk.do(lambda: library.embed(texts))
    if request.dimensions not in (None, len(vectors[0])):
        message = f"dimensions is {request.dimensions}: vectors of {name} have {len(vectors[0])} numbers"
        raise Problem(400, message, code="unsupported_parameter", param="dimensions")
    data = [
        Embedding(
            index=number,
            embedding=vector.tolist()
            if request.encoding_format == "float"
            else base64.b64encode(vector.astype("<f4").tobytes()).decode(),
        )
        for number, vector in enumerate(vectors)
    ]
    length = sum(map(tokens, texts))
    return Embeddings(model=name, data=data, usage=EmbeddingUsage(prompt_tokens=length, total_tokens=length))

"""Our own routes: documents, search, ratings of answers, and how the server is.

Takes   names and texts in JSON; a document's bytes as they are (`curl -T leave.pdf .../documents/leave.pdf`).
Gives   the objects that the commands print with `--json` (docs/contracts.md).
Refuses as the library does: what a person may not read does not exist for them (404). Only the owner adds and removes.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.params import Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rag.api.door import AtDoor, Held
from rag.api.problem import Problem
from rag.library import REASONS, Library
from rag.types import DEFAULT_COLLECTION, Document

Name = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]+$")]
DocumentName = Annotated[str, Path(min_length=1, max_length=500, pattern=r"^[^\x00]+$")]
Collection = Annotated[str | None, Query(min_length=1, max_length=100, description="Only this one; otherwise all.")]
Version = Annotated[int | None, Query(ge=1, le=2**31, description="A former version; otherwise the current one.")]
Id = Annotated[str, Path(min_length=1, max_length=100)]
LONGEST_PART = 255  # bytes between two slashes: what file systems hold
LISTED = ("version", "collection", "source", "title", "passages", "pages_without_text", "added_at", "sha256")
routes = APIRouter(tags=["documents"])
watched = APIRouter(tags=["state"])  # for machines that watch: without a token, and without a word about the documents


class Wanted(BaseModel):
    """What to search for."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, StringConstraints(min_length=1, max_length=8_000)]
    k: Annotated[int, Field(ge=1, le=100)] = 10
    collection: str | None = None


class Rating(BaseModel):
    """What a person thought of an answer; see docs/judgements.md."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["up", "down"]
    reason: str | None = Field(default=None, description=f"One of {', '.join(REASONS)}.")
    correction: str | None = Field(default=None, description="What it should have said.")
    marked: dict[str, Any] | None = Field(default=None, description="The right words: {document, quote, ...}.")


class State(BaseModel):
    """How the server is."""

    status: Literal["ok", "ready"]
    version: str


def collections(library: Library) -> list[str]:
    """Names of the collections that hold something to read."""
    return sorted({document.collection for document in library.documents()})


@routes.get("/documents")
def documents(library: Held, collection: Collection = None) -> dict[str, Any]:
    """The current documents, as `rag documents --json` lists them."""
    found = library.documents(collection=collection)
    return {"documents": [_listed(document) for document in found]}


@routes.get("/documents/{name:path}")
def document(
    name: DocumentName, library: Held, *, version: Version = None, collection: Collection = None
) -> dict[str, Any]:
    """One document with its text, as `rag show --json` prints it: citations count characters of `text`."""
    found = library.document(name, version, collection=collection)
    return {
        "document": found.name, "version": found.version, "current": found.current, "collection": found.collection,
        "source": found.source, "title": found.title, "added_at": found.added_at, "sha256": found.sha256,
        "pages": [page._asdict() for page in found.pages], "text": found.text,
    }  # fmt: skip


@routes.put(
    "/documents/{name:path}",
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {
        "type": "string", "format": "binary"}}}}},
)  # fmt: skip
async def add(
    name: DocumentName,
    request: Request,
    door: AtDoor,
    library: Held,
    *,
    collection: Annotated[str, Query(min_length=1, max_length=100)] = DEFAULT_COLLECTION,
) -> dict[str, Any]:
    """Index the body as a document of this name; one of the same name in the collection is replaced."""
    if max(len(part.encode()) for part in name.split("/")) > LONGEST_PART:
        raise Problem(
            400, f"{name}: no part of a name is longer than {LONGEST_PART} bytes", code="invalid_value", param="name"
        )
    data = await request.body()
    report = await door.desk.do(lambda: library.add_bytes(name, data, collection=collection))
    if report.status == "failed":
        raise Problem(422, report.reason or f"{name} could not be read", code="unreadable_file", param="name")
    return {"files": [dataclasses.asdict(report)]}


@routes.delete("/documents/{name:path}")
def remove(name: DocumentName, library: Held, collection: Collection = None) -> dict[str, Any]:
    """Take a document and its former versions out, and erase their words."""
    return dataclasses.asdict(library.remove(name, collection=collection))


@routes.post("/search")
async def search(wanted: Wanted, door: AtDoor, library: Held) -> dict[str, Any]:
    """Passages, best first, as `rag search --json` prints them."""
    hits = await door.desk.do(lambda: library.search(wanted.text, wanted.k, collection=wanted.collection))
    keys = ("document", "version", "page", "start", "end", "text", "score")
    return {
        "hits": [
            {key: getattr(hit, key) for key in keys}
            | ({"time": hit.time} if hit.time else {})
            | {"passage": hit.passage.id, "headings": hit.passage.headings, "collection": hit.passage.collection}
            for hit in hits
        ]
    }


@routes.get("/answers/{answer_id}", tags=["feedback"])
def answered(answer_id: Id, library: Held) -> dict[str, Any]:
    """An answer as it was given."""
    return library.answered(answer_id)


@routes.put("/answers/{answer_id}/rating", tags=["feedback"])
def rate(answer_id: Id, rating: Rating, library: Held) -> dict[str, Any]:
    """Store what this person thought of an answer; a second rating replaces the first."""
    made = library.rate(answer_id, **rating.model_dump())
    return dataclasses.asdict(made)


@routes.delete("/answers/{answer_id}/rating", status_code=204, tags=["feedback"])
def withdraw(answer_id: Id, library: Held) -> Response:
    """Take this person's rating of an answer back."""
    library.withdraw(answer_id)
    return Response(status_code=204)


@watched.get("/health")
def health(request: Request) -> State:
    """The process answers."""
    return State(status="ok", version=request.app.version)


@watched.get("/ready")
def ready(request: Request, door: AtDoor) -> State:
    """Questions can be answered: documents are open and the model is loaded."""
    if door.waiting_for is not None:
        raise Problem(503, f"not ready: {door.waiting_for}", code="not_ready", retry_s=2)
    return State(status="ready", version=request.app.version)


def _listed(document: Document) -> dict[str, Any]:
    return {"document": document.name} | {key: getattr(document, key) for key in LISTED}

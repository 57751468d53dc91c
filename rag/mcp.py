"""The door for assistants: a Model Context Protocol server with three tools.

    search   passages, best first         ask   an answer with its exact words         read   a document's text

Takes   an open library, and whose rights count.
Gives   an `MCPServer` of the official SDK; `rag mcp` runs it over stdio or HTTP. Results are the objects of
        docs/contracts.md. Nothing can be changed through it.
Refuses with the library's own words, as errors of the tool that an assistant can read and act upon.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

import rag
from rag.errors import GroundlingError
from rag.library import Library

MOST_CHARACTERS = 20_000  # of a document in one reading: an assistant's context is not a disk
INSTRUCTIONS = (
    "The company's own documents. `ask` answers a question in a sentence with the exact words it rests on, and says so "
    "when the documents do not hold the answer; prefer it for facts. `search` finds passages, `read` gives the text of "
    "a document. Cite documents by their name and page."
)
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
Collection = Annotated[str | None, Field(description="Only this collection of documents; all when left out.")]


def make(library: Library, *, person: str | None = None) -> MCPServer[Any]:
    """The server over an open library; with accounts, `person` is one of them."""
    library = library.for_person(person) if person and library.accounts() else library
    server: MCPServer[Any] = MCPServer(
        "groundling", title="Groundling", version=rag.__version__, instructions=INSTRUCTIONS, log_level="WARNING"
    )

    @server.tool(annotations=READS)
    def search(
        text: Annotated[str, Field(min_length=1, description="Words or a question.")],
        k: Annotated[int, Field(ge=1, le=50, description="At most so many passages.")] = 8,
        collection: Collection = None,
    ) -> dict[str, Any]:
        """Find passages in the documents, best first, with document, page and characters."""
        with _told():
            hits = library.search(text, k, collection=collection, person=person)
        keys = ("document", "version", "page", "time", "start", "end", "text", "score")
        return {"hits": [{key: getattr(hit, key) for key in keys if key != "time" or hit.time} for hit in hits]}

    @server.tool(annotations=READS)
    def ask(
        question: Annotated[str, Field(min_length=1, description="One question, complete in itself.")],
        collection: Collection = None,
    ) -> dict[str, Any]:
        """Answer a question from the documents. `citations` are exact quotations; `abstained` means: not in them."""
        with _told():
            return library.ask(question, collection=collection, person=person).as_dict()

    @server.tool(annotations=READS)
    def read(
        document: Annotated[str, Field(min_length=1, description="Its name, as `search` and `ask` give it.")],
        version: Annotated[
            int | None, Field(ge=1, description="A former version; the current one when left out.")
        ] = None,
        start: Annotated[int, Field(ge=0, description="The first character.")] = 0,
        collection: Collection = None,
    ) -> dict[str, Any]:
        """Read a document's text from a character on; `next` says where to go on, and is null at the end."""
        with _told():
            found = library.document(document, version, collection=collection, person=person)
        end = min(len(found.text), start + MOST_CHARACTERS)
        return {
            "document": found.name, "version": found.version, "current": found.current, "title": found.title,
            "start": start, "end": end, "characters": len(found.text), "text": found.text[start:end],
            "next": end if end < len(found.text) else None,
        }  # fmt: skip

    return server


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except GroundlingError as error:
        raise ToolError(str(error)) from error

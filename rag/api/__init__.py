"""The door for other programs: OpenAI's chat, models and embeddings, and our own documents, search and ratings.

    app = make(rag.open("indexes/hr"))        an ASGI app; `rag serve` runs it with uvicorn

Takes   an open library and limits. In a library with accounts a bearer token says who is asking (door.py); without any,
        everybody who reaches the server is the local owner, so it answers as localhost only.
Gives   a FastAPI app. The model loads while the server starts: `/health` answers at once, `/ready` when it is loaded.
Stops   by finishing: what was taken in is answered and audited before the library closes (rag/api/desk.py).
Routes  chat.py and embeddings.py (OpenAI's), own.py (ours); docs/api.md describes them for those who call.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBearer

import rag
from rag.api import chat, embeddings, own, problem
from rag.api.desk import Desk
from rag.api.door import Door
from rag.api.guard import MIB, Guard
from rag.errors import GroundlingError
from rag.library import Library

ABOUT = "Answers from documents, each with the exact words it rests on. Described in docs/api.md."


@dataclass(frozen=True)
class Limits:
    """One field a decision."""

    at_once: int = 4  # requests that compute at the same time
    waiting: int = 16  # and that wait for one of these; more are answered 429
    patience_s: float = 120.0  # the longest that one waits for its answer
    largest_request: int = MIB  # bytes
    largest_upload: int = 64 * MIB


def make(library: Library, *, limits: Limits | None = None) -> FastAPI:
    """The app over an open library; it closes the library when it stops."""
    limits = limits or Limits()
    desk = Desk(at_once=limits.at_once, waiting=limits.waiting, patience_s=limits.patience_s)
    door = Door(library, desk)
    app = FastAPI(
        title="Groundling",
        version=rag.__version__,
        description=ABOUT,
        lifespan=_lifespan,
        responses=problem.DOCUMENTED,
        docs_url=None,  # its page would be fetched from a foreign network; the document itself is at /openapi.json
        redoc_url=None,
    )
    app.state.door = door
    with_accounts = library.accounts()
    named: Any = [Depends(HTTPBearer(auto_error=False))] if with_accounts else []
    for routes in (chat.routes, embeddings.routes, own.routes):
        app.include_router(routes, dependencies=named)
    app.include_router(own.watched)
    problem.install(app)
    app.add_middleware(
        Guard,
        largest_request=limits.largest_request,
        largest_upload=limits.largest_upload,
        local_only=not with_accounts,
    )
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    door: Door = app.state.door
    warming = threading.Thread(target=_warm, args=(door,), name="groundling-warm")
    warming.start()
    try:
        yield
    finally:
        await run_in_threadpool(door.desk.close)
        await run_in_threadpool(warming.join)
        await run_in_threadpool(door.library.close)


def _warm(door: Door) -> None:
    """Load what the first question needs."""
    try:
        door.library.warm()
        door.waiting_for = None
    except GroundlingError as error:
        door.waiting_for = str(error)

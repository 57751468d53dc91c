"""What every route needs: the desk, and the library in the hands of whoever is asking.

Takes   the running app, and the bearer token of a request.
Gives   `Door`, and `Held`: the library as the person has it whom the token belongs to. A library without accounts is
        held by its owner, and any token will do (OpenAI's clients cannot be made without one). That is looked up with
        each request: the first account closes the door at once, and a revoked token opens it no more.
Refuses an unknown, expired or missing token where there are accounts (401).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from rag.api.desk import Desk
from rag.errors import NotFound
from rag.library import Library


@dataclass
class Door:
    """One running server."""

    library: Library
    desk: Desk
    started: int = field(default_factory=lambda: int(time.time()))
    waiting_for: str | None = "the model is being loaded"  # why no question can be answered yet; None: it can


def door(request: Request) -> Door:
    """The server that a request came to."""
    return cast("Door", request.app.state.door)


def held(request: Request) -> Library:
    """The library as this caller has it."""
    library = door(request).library
    if not library.accounts():
        return library
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    caller = library.caller(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
    if caller is not None:
        try:
            return library.for_person(caller.person, scope=caller.scope)
        except NotFound:
            pass  # removed a moment ago: as if there had never been such a token
    message = "No such token. Send yours as `Authorization: Bearer TOKEN`; whoever runs this server gives them out"
    raise HTTPException(401, message, headers={"WWW-Authenticate": "Bearer"})


AtDoor = Annotated[Door, Depends(door)]
Held = Annotated[Library, Depends(held)]

"""What every route needs: the library, the desk, who is asking.

Takes   the running app, and the bearer token of a request.
Gives   `Door`, and `Person`: whom a token belongs to, as the library's `person`. Without tokens it is the local owner,
        and any token will do (OpenAI's clients cannot be made without one).
Refuses an unknown or missing token where there are tokens (401).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from rag.api.desk import Desk
from rag.api.problem import Problem
from rag.library import Library
from rag.types import LOCAL_OWNER

PersonOf = Callable[[str], str | None]  # a token's person; None where nobody has this token


@dataclass
class Door:
    """One running server."""

    library: Library
    desk: Desk
    person_of: PersonOf | None  # None: no tokens, everybody is the local owner
    started: int = field(default_factory=lambda: int(time.time()))
    waiting_for: str | None = "the model is being loaded"  # why no question can be answered yet; None: it can


def door(request: Request) -> Door:
    """The server that a request came to."""
    return cast("Door", request.app.state.door)


def person(request: Request) -> str:
    """Who is asking."""
    known = door(request).person_of
    if known is None:
        return LOCAL_OWNER
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    found = known(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
    if found is None:
        message = "No such token. Send yours as `Authorization: Bearer TOKEN`; whoever runs this server gives them out"
        raise HTTPException(401, message, headers={"WWW-Authenticate": "Bearer"})
    return found


def owner(request: Request) -> str:
    """The same, where only the local owner may: what is added is everybody's."""
    asking = person(request)
    if asking != LOCAL_OWNER:
        raise Problem(403, f"{asking} may read here; documents are added and removed by the owner", code="not_allowed")
    return asking


AtDoor = Annotated[Door, Depends(door)]
Person = Annotated[str, Depends(person)]
Owner = Annotated[str, Depends(owner)]

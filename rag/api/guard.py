"""What stands before every route: how large a body may be, and which pages of a browser may call.

Takes   each request before it is read.
Refuses a body over its limit (413), also one that never said how large it would be, and one that stops coming (408);
        on a server without tokens, which serves whoever reaches it, also calls under a foreign name (a page may make
        its own name point at this machine) and from a page that did not come from this machine (403). Programs send no
        Origin and notice nothing.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.api import problem
from rag.api.problem import Problem

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
MIB = 1024 * 1024
SILENCE_S = 30.0  # without a byte of a body that is not whole


class Guard:
    """ASGI middleware; `local_only` is for a server without tokens."""

    def __init__(self, app: ASGIApp, *, largest_request: int, largest_upload: int, local_only: bool) -> None:
        self.app = app
        self.largest_request, self.largest_upload, self.local_only = largest_request, largest_upload, local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        most = self.largest_upload if scope["path"].startswith("/documents/") else self.largest_request
        refused = self._stranger(headers) if self.local_only else None
        declared = headers.get("content-length", "0")
        if refused is None and declared.isdigit() and int(declared) > most:
            refused = Problem(413, _too_large(most), code="too_large")
        if refused is not None:
            await problem.answer(refused)(scope, receive, send)
            return
        received, whole = 0, False

        async def counted() -> Message:
            nonlocal received, whole
            if whole:  # what comes now is that the client leaves, which may take as long as it likes
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), SILENCE_S)
            except TimeoutError as error:
                raise HTTPException(408, f"nothing of the body came for {SILENCE_S:g} s") from error
            received += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if received > most:
                raise HTTPException(413, _too_large(most))
            return message

        await self.app(scope, counted, send)

    def _stranger(self, headers: Headers) -> Problem | None:
        host = urlsplit(f"//{headers.get('host', '')}").hostname
        if host not in LOCAL:
            message = f"{host}: without tokens this server answers as localhost only. See docs/api.md"
            return Problem(403, message, code="local_only")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).hostname not in LOCAL:
            message = f"{origin}: pages from elsewhere may not call a server without tokens. See docs/api.md"
            return Problem(403, message, code="local_only")
        return None


def _too_large(most: int) -> str:
    return f"the body is larger than {most / MIB:g} MiB, the most this server takes here"

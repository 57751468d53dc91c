"""Work on its way: so many requests at once, a few waiting, the others asked to come again.

    request ─► room? ─► wait for a thread ─► events, one by one, to the loop that serves them
                └─ no: 429

Takes   what to do, as a function that gives events; it runs in a thread, for reading and embedding are computing.
Gives   its events as they come. What has begun goes to its end and into the audit, also when its client has left;
        what has not begun by then is never begun.
Refuses more than `at_once` + `waiting` requests (429), those that come while the server stops (503), and to let anybody
        wait longer than `patience_s` (504).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TypeVar

from rag.api.problem import Problem

T = TypeVar("T")
RETRY_S = 2  # an answer takes about a second


class _End:
    """The last thing in a queue of events."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


class Desk:
    """What takes time goes through here."""

    def __init__(self, *, at_once: int, waiting: int, patience_s: float) -> None:
        self.at_once, self.waiting, self.patience_s = at_once, waiting, patience_s
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="groundling-api")
        self._lock = threading.Lock()
        self._inside = 0
        self._closed = False

    async def events(self, make: Callable[[], Iterator[T]]) -> AsyncGenerator[T]:
        """The events of one piece of work. Raises Problem, and what the work raises."""
        self._enter()
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[T | _End] = asyncio.Queue()

        def run() -> None:
            end = _End()
            try:
                for event in make():
                    loop.call_soon_threadsafe(queue.put_nowait, event)
            except Exception as error:  # noqa: BLE001 - it is raised again where it is awaited
                end = _End(error)
            finally:
                self._leave()
                loop.call_soon_threadsafe(queue.put_nowait, end)

        work = self._pool.submit(run)
        deadline = loop.time() + self.patience_s
        try:
            while True:
                event = await asyncio.wait_for(queue.get(), deadline - loop.time())
                if isinstance(event, _End):
                    if event.error is not None:
                        raise event.error
                    return
                yield event
        except TimeoutError as error:
            raise Problem(504, f"no answer within {self.patience_s:g} s; ask again later", code="timeout") from error
        finally:
            if work.cancel():
                self._leave()

    async def do(self, work: Callable[[], T]) -> T:
        """One result."""

        def once() -> Iterator[T]:
            yield work()

        async with aclosing(self.events(once)) as results:
            return await anext(results)

    def close(self) -> None:
        """Take nothing new, and wait until what is inside is done."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=True)

    def _enter(self) -> None:
        with self._lock:
            if self._closed:
                raise Problem(503, "The server is stopping; ask again in a moment.", code="stopping", retry_s=RETRY_S)
            if self._inside >= self.at_once + self.waiting:
                raise Problem(
                    429,
                    f"{self._inside} requests are being served or waiting, the most this server takes. "
                    f"Ask again in {RETRY_S} seconds",
                    code="too_many_requests",
                    retry_s=RETRY_S,
                )
            self._inside += 1

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1

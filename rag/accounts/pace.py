"""How often one person may ask: so many questions in a minute, a few of them at once.

Takes   a name and the number of questions a minute; 0 sets no limit.
Refuses one too many with TooMany, which says how long to wait. Counted in memory: a restart forgets it, and each
        process counts for itself.
Source  a token bucket, which holds a minute's questions and fills evenly.
"""

from __future__ import annotations

import math
import threading
import time

from rag.errors import TooMany

MOST_NAMES = 10_000


class Pace:
    """Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[float, float]] = {}  # name: (questions left, at what moment)

    def take(self, name: str, a_minute: int, *, at: float | None = None) -> None:
        """Count one question. Raises TooMany."""
        if not a_minute:
            return
        now = time.monotonic() if at is None else at
        with self._lock:
            left, then = self._held.pop(name, (float(a_minute), now))
            left = min(float(a_minute), left + (now - then) * a_minute / 60)
            self._held[name] = (left - 1 if left >= 1 else left, now)  # at the end: the first ones are the oldest
            while len(self._held) > MOST_NAMES:
                del self._held[next(iter(self._held))]
        if left < 1:
            wait = math.ceil((1 - left) * 60 / a_minute)
            raise TooMany(f"{a_minute} questions a minute are the most. Wait {wait} s and ask again", wait_s=wait)

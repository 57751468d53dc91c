"""How far a long pass over files is: share read, rate, time left; one line on stderr, renewed.

Takes   the bytes of the files on the disk, and after each step how many of them are behind.
Gives   a line every few seconds (every half minute where stderr is no terminal).
"""

from __future__ import annotations

import sys
import time


class Pace:
    """The progress of one pass."""

    def __init__(self, total: int, *, name: str) -> None:
        self.total, self.name = total, name
        self.before = self.position = self.text = 0
        self.started = self.said = time.monotonic()
        self.every = 1.0 if sys.stderr.isatty() else 30.0

    def at(self, position: int) -> None:
        """So many bytes of the present file are behind."""
        self.position = position

    def file_ends(self, size: int) -> None:
        """The present file is done."""
        self.before += size
        self.position = 0

    def add(self, size: int, what: str) -> None:
        """So many more bytes of text are done; says so now and then."""
        self.text += size
        now = time.monotonic()
        if now - self.said >= self.every:
            self.said = now
            end = "\r" if sys.stderr.isatty() else "\n"
            sys.stderr.write(f"{self.line(now - self.started, what)}{end}")
            sys.stderr.flush()

    def line(self, seconds: float, what: str) -> str:
        """What is shown."""
        done = min(self.before + self.position, self.total)
        rate = f"{self.text / 1e6:,.0f} MB of text, {self.text / 1e6 / max(seconds, 1e-9):.2f} MB/s"
        if not self.total:
            return f"{self.name}  {what}: {rate}"
        left = seconds * (self.total - done) / max(done, 1)
        return f"{self.name}  {what}: {100 * done / self.total:3.0f}% read, {rate}, {duration(left)} left"


def duration(seconds: float) -> str:
    """Time as people say it.

    >>> duration(75), duration(7300)
    ('1 min 15 s', '2 h 01 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

"""The passwords that were given for the files of one run.

Takes   passwords, for the time of a `with` block; they stand in no file, no log and no message.
Gives   them to the readers that can use one: PDF and ZIP. A file that none of them opens fails alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_GIVEN: ContextVar[tuple[str, ...]] = ContextVar("passwords", default=())


@contextmanager
def using(passwords: Sequence[str]) -> Iterator[None]:
    """Within the block these may open files; none adds nothing to those of a block around it."""
    before = _GIVEN.set((*_GIVEN.get(), *passwords))
    try:
        yield
    finally:
        _GIVEN.reset(before)


def given() -> tuple[str, ...]:
    """The passwords of this run, in the order in which they were given."""
    return _GIVEN.get()


def cure() -> str:
    """What somebody can do about a file that stayed locked."""
    if given():
        return "no password that was given opens it; give another, or remove the password and add it again"
    return "give it with `rag add --password`, or remove the password and add it again"

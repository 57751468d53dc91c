"""When in a recording something was said.

Takes   where the stretches of a recording stand in its text, and a place in that text; or seconds.
Gives   seconds from the recording's beginning, and the clock that people read: `00:12:31`.
Other documents have no times: their answer is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.types import PageSpan


def moment(pages: Sequence[PageSpan], start: int) -> float | None:
    """Seconds at which the stretch begins that the character `start` belongs to."""
    if not pages or pages[0].at is None:
        return None
    return next((page.at for page in reversed(pages) if page.start <= start), None)


def clock(seconds: float | None) -> str | None:
    """Hours, minutes and seconds.

    >>> clock(751.8), clock(36_000), clock(None)
    ('00:12:31', '10:00:00', None)
    """
    if seconds is None:
        return None
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"

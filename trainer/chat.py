"""The learnt format: a question and numbered sources become tokens, the same way in training and in serving.

Takes   a question and at most `MAX_SOURCES` sources (heading path and text).
"""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """One passage in the prompt. Spans count characters of `text`; the heading is read but never quoted."""

    heading: str  # path, "Leave > Vacation"; may be empty
    text: str

"""What a site's robots.txt allows us, as RFC 9309 reads it.

Takes   the text of a robots.txt.
Gives   `Robots`: whether a path may be asked for (the longest rule wins, Allow before Disallow), and the pause to keep.
The group that names us counts, else that of `*`; groups of one name are one. `*` in a rule is anything, `$` the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

NAME = "groundling"  # the product token that a site can address
LONGEST = 500_000  # characters that are read
LONGEST_PAUSE_S = 30.0
_RULES = 5_000


class _Rule(NamedTuple):
    length: int
    allow: bool
    pieces: tuple[str, ...]  # what stands between the stars
    end: bool  # whether the last piece ends the path

    def covers(self, path: str) -> bool:
        """Piece after piece, each as early as it can stand: no pattern makes this slow."""
        if len(self.pieces) == 1 and self.end:
            return path == self.pieces[0]
        if not path.startswith(self.pieces[0]):
            return False
        at = len(self.pieces[0])
        for piece in self.pieces[1 : -1 if self.end else None]:
            at = path.find(piece, at)
            if at < 0:
                return False
            at += len(piece)
        return not self.end or (path.endswith(self.pieces[-1]) and len(path) - len(self.pieces[-1]) >= at)


@dataclass(frozen=True)
class Robots:
    """See the module."""

    rules: tuple[_Rule, ...] = ()
    pause_s: float = 0.0
    closed: bool = False  # nothing may be asked for: the file could not be had, though the site is there

    def allows(self, path: str) -> bool:
        """`path` with its query, as it stands in the URL."""
        if self.closed:
            return False
        path = _plain(path)
        matching = [(rule.length, rule.allow) for rule in self.rules if rule.covers(path)]
        return max(matching, default=(0, True))[1]


def read(text: str) -> Robots:
    """Read a robots.txt; lines that make no sense are passed over."""
    groups: dict[str, list[tuple[str, str]]] = {}
    names: list[str] = []
    in_rules = False
    for line in text.lstrip("\ufeff")[:LONGEST].splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key == "user-agent":
            names = [value.lower()] if in_rules else [*names, value.lower()]
            in_rules = False
            groups.setdefault(value.lower(), [])
        elif key in ("allow", "disallow", "crawl-delay"):
            in_rules = True
            for name in names:
                groups[name].append((key, value))
    ours = [name for name in groups if re.match(r"[a-z_-]*", name)[0] == NAME]  # type: ignore[index]
    lines = [line for name in ours for line in groups[name]] if ours else groups.get("*", [])
    rules = tuple(_rule(key == "allow", value) for key, value in lines[:_RULES] if key != "crawl-delay" and value)
    pauses = [float(value) for key, value in lines if key == "crawl-delay" and re.fullmatch(r"\d{1,6}(\.\d+)?", value)]
    return Robots(rules, min(max(pauses, default=0.0), LONGEST_PAUSE_S))


def _rule(allow: bool, value: str) -> _Rule:
    pieces = tuple(_plain(piece) for piece in re.split(r"\*+", value.removesuffix("$")))
    return _Rule(len(value.encode()), allow, pieces, value.endswith("$"))


def _plain(path: str) -> str:
    """One spelling for one path: what need not be escaped is not, the rest in capitals."""
    return quote(unquote_to_bytes(path.replace("%2F", "%252F").replace("%2f", "%252F")), safe="/%?&=+,;:@!$'()*~[]")

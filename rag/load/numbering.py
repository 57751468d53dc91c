"""The numbers that Word shows in front of list items and headings, which its file only implies.

Takes   the root element of `numbering.xml` (or None), then list number and depth of each paragraph in order.
Gives   depth and shown number: `("1.", "2.3", "a)")`, empty for a bullet.
"""

from __future__ import annotations

import re
from typing import Any

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_LEVELS = 9
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"))
_ROMAN_SMALL = ((9, "ix"), (5, "v"), (4, "iv"), (1, "i"))


class Numbering:
    """Counts like Word: lists of one definition share their counters, a deeper level restarts below a higher one."""

    def __init__(self, root: Any) -> None:
        self.levels: dict[str, dict[int, tuple[str, str, int]]] = {}  # definition -> depth -> format, pattern, start
        self.definition: dict[str, str] = {}  # list number -> definition
        self.restarts: dict[str, dict[int, int]] = {}  # list number -> depth -> first number
        self.counters: dict[str, list[int | None]] = {}
        if root is None:
            return
        for abstract in root.iter(f"{W}abstractNum"):
            self.levels[abstract.get(f"{W}abstractNumId")] = {
                _int(level.get(f"{W}ilvl")): (
                    _attribute(level, "numFmt", "bullet"),
                    _attribute(level, "lvlText", ""),
                    _int(_attribute(level, "start", "1")),
                )
                for level in abstract.iter(f"{W}lvl")
            }
        for number in root.iter(f"{W}num"):
            key = number.get(f"{W}numId")
            self.definition[key] = _attribute(number, "abstractNumId", "")
            self.restarts[key] = {
                _int(override.get(f"{W}ilvl")): _int(_attribute(override, "startOverride", "1"))
                for override in number.iter(f"{W}lvlOverride")
                if override.find(f"{W}startOverride") is not None
            }

    def next(self, number: str, depth: int) -> tuple[int, str]:
        """Count one paragraph."""
        depth = min(max(depth, 0), _LEVELS - 1)
        definition = self.definition.get(number, "")
        levels = self.levels.get(definition, {})
        kind, pattern, start = levels.get(depth, ("bullet", "", 1))
        counters = self.counters.setdefault(definition, [None] * _LEVELS)
        for at, first in self.restarts.pop(number, {}).items():
            if at < _LEVELS:
                counters[at] = first - 1
        before = counters[depth]
        counters[depth] = start if before is None else before + 1
        for deeper in range(depth + 1, _LEVELS):
            counters[deeper] = None
        if kind in ("bullet", "none"):
            return depth, ""

        def shown(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            level = levels.get(at, ("decimal", "", 1))
            value = counters[at]
            return _written(level[2] if value is None else value, level[0])

        return depth, re.sub(r"%([1-9])", shown, pattern).strip()


def _written(value: int, kind: str) -> str:
    if kind in ("lowerLetter", "upperLetter") and value > 0:
        text = chr(ord("a") + (value - 1) % 26) * ((value - 1) // 26 + 1)
        return text.upper() if kind == "upperLetter" else text
    if kind in ("lowerRoman", "upperRoman") and 0 < value < 4000:
        text = ""
        for amount, letters in (*_ROMAN, *_ROMAN_SMALL):
            text += letters * (value // amount)
            value %= amount
        return text.upper() if kind == "upperRoman" else text
    return str(value)


def _attribute(parent: Any, name: str, default: str) -> str:
    found = parent.find(f"{W}{name}")
    return default if found is None else str(found.get(f"{W}val", default))


def _int(text: str | None) -> int:
    return int(text) if text and text.lstrip("-").isdigit() and len(text) < 9 else 0

"""A small text in our own words: rules of an office, and questions about them; every seed gives another one."""

from __future__ import annotations

import json
import random
from pathlib import Path

PLACES = [
    f"the {a} {b}" for a in ("north", "old", "upper", "small", "new") for b in ("depot", "office", "mill", "archive")
]
THINGS = [
    "parcels",
    "invoices",
    "keys",
    "badges",
    "laptops",
    "vans",
    "forms",
    "samples",
    "ladders",
    "radios",
    "tickets",
]
PEOPLE = ["drivers", "clerks", "visitors", "managers", "apprentices", "engineers", "cleaners", "guests", "buyers"]
VERBS = ["collect", "return", "count", "label", "repair", "borrow", "order", "inspect", "pack", "deliver", "record"]
WHEN = ["before noon", "on Mondays", "each evening", "in spring", "twice a year", "after a test", "without delay"]
HOW = ["by hand", "in pairs", "with a signature", "for a small fee", "free of charge", "under supervision", "quietly"]
WHY = ["claims expire", "space is short", "auditors ask", "insurers insist", "winter is long", "records must agree"]


def page(seed: int, sentences: int = 8) -> str:
    """A page of office rules that hardly repeats itself."""
    chance = random.Random(seed)
    pick = chance.choice
    said = []
    for _ in range(sentences):
        number = chance.randint(2, 400)
        shapes = [
            f"{pick(PEOPLE)} {pick(VERBS)} {number} {pick(THINGS)} {pick(HOW)} and {pick(VERBS)} them {pick(WHEN)}.",
            f"at {pick(PLACES)}, {pick(THINGS)} {pick(PEOPLE)} {pick(VERBS)} cost {number} pounds: {pick(WHY)}.",
            f"of {number} {pick(THINGS)} in {pick(PLACES)}, {pick(PEOPLE)} {pick(VERBS)} a few {pick(WHEN)}.",
            f"{pick(WHEN)} {pick(PEOPLE)} have {number} days to {pick(VERBS)} the {pick(THINGS)} of {pick(PLACES)}.",
            f"since {pick(WHY)}, {pick(PEOPLE)} {pick(VERBS)} {pick(THINGS)} {pick(HOW)}, never more than {number}.",
        ]
        text = pick(shapes)
        said.append(text[0].upper() + text[1:])
    return "\n\n".join(" ".join(said[i : i + 3]) for i in range(0, len(said), 3))


def question(seed: int) -> dict[str, object]:
    """One question about a page, with the place of its answer."""
    chance = random.Random(seed)
    number, thing, place = chance.randint(100, 999), chance.choice(THINGS), chance.choice(PLACES)
    fact = f"The limit for {thing} at {place} is {number} pieces."
    text = f"{page(seed, 3)} {fact} {page(seed + 50_000, 2)}"
    answer = f"{number} pieces"
    return {
        "question": f"What is the limit for {thing} at {place}?",
        "context": text,
        "title": "Limits",
        "answers": [{"text": answer, "start": text.index(answer)}],
        "answerable": True,
        "licence": "CC0",
    }


def write_jsonl(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

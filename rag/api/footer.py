"""Citations as a few lines under an answer, for clients that show words and nothing else.

Takes   an answer.
Gives   text that begins with a rule; "" where nothing is cited. `without` takes it off again: clients send what they
        showed back as history, and quotations of yesterday are no part of what was said.
"""

from __future__ import annotations

from rag.types import Answer, Citation

RULE = "\n\n---\n"
CITED, NEAREST = f"{RULE}Sources\n", f"{RULE}Nearest passages\n"
LONGEST = 300  # characters of a quotation; the extra field has it whole


def of(answer: Answer) -> str:
    """The footer of an answer."""
    if answer.abstained:
        lines = [f"- {_line(near)}" for near in answer.nearest]
        return NEAREST + "\n".join(lines) if lines else ""
    lines = [f"[{number}] {_line(cited)}" for number, cited in enumerate(answer.citations, start=1)]
    return CITED + "\n".join(lines) if lines else ""


def without(text: str) -> str:
    """The words above the footer."""
    for head in (CITED, NEAREST):
        text = text.partition(head)[0]
    return text


def _line(cited: Citation) -> str:
    where = f" p. {cited.page}" if cited.page is not None else f" {cited.time}" if cited.time else ""
    place = cited.document + where
    quote = " ".join(cited.quote.split())
    return f"{place}: “{quote if len(quote) <= LONGEST else quote[: LONGEST - 1].rstrip() + '…'}”"

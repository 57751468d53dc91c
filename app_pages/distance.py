"""Quality of the match: how far the documents lie from the text that the shipped model knows.

Takes   the library's documents, measured by `rag/gap.py`.
Gives   one view of the Quality page: a verdict, a dot for each document, the farthest ones as a list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app_pages import plots, prose
from rag.library import Library

if TYPE_CHECKING:
    from rag.library import Gaps

LISTED = 15
DRAWN = 400  # dots of a plot


def draw(library: Library, open_: dict[str, Any]) -> None:
    """How far the documents lie from the text that the shipped model knows."""
    place = st.empty()

    def show(done: int, total: int) -> None:
        place.progress(done / total, text=f"Looking at {prose.count(total, 'document')}")

    found = library.gaps(progress=show)
    place.empty()
    if not found.documents:
        st.html(prose.plain("There are no documents with enough text yet.", "lead"))
        st.page_link(st.session_state["pages"]["documents"], label="Add documents", icon=":material/upload_file:")
        return
    low, _, high = found.ordinary.bits
    st.html(prose.plain(found.verdict, "body"))
    st.html(plots.figures(_distance(found)))
    apart = [one for one in found.documents if one.tokens_per_word is not None][:DRAWN]
    said = (
        f"Each dot is a document: the farther right, the less its words resemble the text the model knows. "
        f"In the grey band lie 90 of 100 documents of other authors ({low:.2f} to {high:.2f})."
    )
    drawn = any(one.tokens for one in apart)
    if drawn:
        dots = [(one.document, one.bits_per_byte, one.tokens_per_word or 0.0) for one in apart]
        plots.scatter(dots, ("Bits per byte", "Tokens per word"), band=(low, high), line=found.line, alt=said)
    st.html(prose.plain(said))
    dashed = " The dashed line is that distance." if found.line and drawn else ""
    st.html(prose.plain(found.worth + dashed))
    st.html('<h2 class="gl-section">Farthest from what the model knows</h2>')
    with st.container(key="questions", gap=None):
        for number, one in enumerate(found.documents[:LISTED]):
            tokens = f" · {one.tokens_per_word:.2f} tokens per word" if one.tokens_per_word else ""
            facts = f"{one.bits_per_byte:.2f} bits per byte{tokens} · added {prose.day(one.added_at)}"
            with st.container(horizontal=True, vertical_alignment="center", key=f"row-gap-{number}", wrap=False):
                st.html(
                    f'<div class="gl-document"><strong>{prose.escape(one.document)}</strong>'
                    f"<span>{prose.escape(facts)}</span></div>"
                )
                if st.button("Open", key=f"open-gap-{number}", type="tertiary"):
                    open_["source"] = {
                        "document": one.document, "version": one.version, "page": None, "start": 0, "end": 0,
                    }  # fmt: skip
    with st.expander("The numbers", key="numbers", type="compact"):
        rows = [
            (
                one.document,
                f"{one.bits_per_byte:.3f}",
                _two(one.tokens_per_word),
                one.bytes,
            )
            for one in found.documents
        ]
        st.html(plots.table(("Document", "Bits per byte", "Tokens per word", "Bytes looked at"), rows, "Documents"))


def _two(value: float | None) -> str:
    return f"{value:.2f}" if value else "–"


def _distance(found: Gaps) -> list[tuple[str, str, str]]:
    bits, tokens = found.bits_per_byte, found.tokens_per_word
    ordinary = found.ordinary
    return [
        ("Bits per byte", _two(bits), f"ordinary: {ordinary.bits[1]:.2f}"),
        (
            "Tokens per word",
            _two(tokens),
            f"ordinary: {ordinary.tokens[1]:.2f}" if ordinary.tokens else "another tokenizer",
        ),
        ("Documents", f"{len(found.documents):,}", "with enough text"),
        (
            "Beyond the band",
            f"{sum(one.bits_per_byte > ordinary.bits[2] for one in found.documents):,}",
            f"above {ordinary.bits[2]:.2f} bits per byte",
        ),
    ]

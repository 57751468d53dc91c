"""The page of a document that a quotation stands on, with the quoted words highlighted.

Takes   the library and a citation as a dict: document, version, start, end.
Gives   a drawer at the right edge: one leaf at a time (a page, or a part of a document that has no pages),
        scrolled to the quotation; two buttons turn the leaves. Where an answer is judged, the right words are marked
        here (`marking`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import streamlit as st

from app_pages import browser, prose
from app_pages.marking import draw_bar, draw_documents
from rag.errors import GroundlingError
from rag.library import Library
from rag.types import Document

LEAF = 6000  # characters of a part, where a document has no pages


class Leaf(NamedTuple):
    """`document.text[start:end]` and what to call it."""

    name: str
    start: int
    end: int


def leaves(document: Document, start: int, end: int) -> list[Leaf]:
    """The pages of a document; one without pages is cut at line ends, never inside `start:end`."""
    pages = [page for page in document.pages if page.number is not None]
    if pages:
        last = max(page.number or 0 for page in pages)
        return [Leaf(f"Page {page.number} of {last}", page.start, page.end) for page in pages]
    cuts = [0]
    while len(document.text) - cuts[-1] > LEAF * 1.5:
        cut = document.text.find("\n", cuts[-1] + LEAF)
        if start <= cut < end:
            cut = document.text.find("\n", end)
        if cut == -1:
            break
        cuts.append(cut + 1)
    bounds = list(zip(cuts, [*cuts[1:], len(document.text)], strict=True))
    return [
        Leaf(f"Part {number} of {len(bounds)}" if len(bounds) > 1 else "", *bound)
        for number, bound in enumerate(bounds, start=1)
    ]


def open_source(
    library: Library, citation: dict[str, Any] | None, answer: dict[str, Any] | None = None, *, marking: bool = False
) -> None:
    """Open the drawer. Call at most once in a run of the script: Streamlit shows one dialog at a time.

    With `answer` the right words can be marked in it; `marking` was asked for, so any document can be chosen.
    """
    st.session_state.pop("leaf", None)
    st.session_state["visit"] = st.session_state.get("visit", 0) + 1
    title = "Where it stands" if marking or citation is None else prose.label(citation["document"], limit=60)
    drawer = st.dialog(title, width="medium", position="right", icon=":material/description:", on_dismiss="rerun")
    drawer(_draw)(library, citation, answer, marking)


def _draw(library: Library, citation: dict[str, Any] | None, answer: dict[str, Any] | None, marking: bool) -> None:
    citation = _chosen(library, citation) if marking else citation
    if citation is None:
        st.html(prose.notice("There are no documents in which anything could stand."))
        return
    try:
        document = library.document(citation["document"], citation["version"])
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))
        return
    start, end = citation["start"], citation["end"]
    found = leaves(document, start, end)
    home = next((n for n, leaf in enumerate(found) if leaf.start <= start < leaf.end), 0)
    number = min(max(st.session_state.get("leaf", home), 0), len(found) - 1)
    leaf = found[number]
    note = f"version {document.version}" + ("" if document.current else ", replaced since")
    where = (leaf.name, citation.get("time"), document.collection, note)
    st.html(prose.plain(" · ".join(part for part in where if part), "where"))
    words = document.text[leaf.start : leaf.end]
    st.html(prose.leaf(words, (start - leaf.start, end - leaf.start), leaf.start))
    visit = st.session_state["visit"]
    here = leaf.start <= start < leaf.end
    with st.container(key="unseen-leaf"):
        browser.bring_into_view(".gl-mark" if here else ".gl-where", "leaf-look", f"leaf-{visit}-{number}")
    if len(found) > 1:
        _turn_leaves(number, len(found), home)
    if answer is not None:
        draw_bar(library, answer, document, (leaf.start, leaf.end), typing=marking)


def _chosen(library: Library, citation: dict[str, Any] | None) -> dict[str, Any] | None:
    """Where the chosen document opens: another than before opens at its beginning."""
    chosen = draw_documents(library, citation)
    if chosen and st.session_state.get("marking") != chosen["document"]:
        st.session_state["marking"] = chosen["document"]
        st.session_state.pop("leaf", None)
        st.session_state["visit"] += 1
    return chosen


def _turn_leaves(number: int, count: int, home: int) -> None:
    def turn(to: int) -> None:
        st.session_state["leaf"] = to

    with st.container(horizontal=True, horizontal_alignment="distribute", key="leaves"):
        st.button(
            "Previous",
            key="leaf-previous",
            icon=":material/chevron_left:",
            type="tertiary",
            disabled=number == 0,
            on_click=turn,
            args=(number - 1,),
        )
        st.button(
            "Back to the quotation",
            key="leaf-home",
            type="tertiary",
            disabled=number == home,
            on_click=turn,
            args=(home,),
        )
        st.button(
            "Next",
            key="leaf-next",
            icon=":material/chevron_right:",
            icon_position="right",
            type="tertiary",
            disabled=number == count - 1,
            on_click=turn,
            args=(number + 1,),
        )

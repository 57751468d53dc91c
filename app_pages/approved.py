"""Questions people approved, under the documents: how many still hold, which dropped and since when.

Takes   the library. What is due is asked again in the background; the section follows until all are done.
Gives   drawn elements: today's answer of a question in a dialog, where it can be approved instead; pinning by hand.
"""

from __future__ import annotations

import streamlit as st

from app_pages import prose
from rag.errors import GroundlingError
from rag.library import Library, Pinned
from rag.types import Answer

PULSE = 3.0  # seconds between looks while questions are being asked again
SHOWN = 50  # of those that hold
OUTCOME = "pinned-outcome"
EMPTY = "A thumb up under an answer puts its question here. It is asked again when documents or the model change."
SAYS = {
    "changed": "It is answered from other words now.",
    "lost": "It is refused now.",
    "answered": "It was approved that the documents do not say this; now it is answered.",
}


def draw(library: Library, collections: list[str], *, in_dialog: bool) -> None:
    """The section. While questions are waiting to be asked again, it looks for their results by itself."""
    found = library.pinned()
    st.html('<h2 class="gl-section">Approved questions</h2>')
    if outcome := st.session_state.pop(OUTCOME, None):
        st.html(prose.notice(*outcome))
    if not found:
        st.html(prose.plain(EMPTY))
    elif any(one.waiting for one in found) and not in_dialog:
        library.recheck_pinned(0)
        _watch(library)
    else:
        st.html(prose.plain(_sum(found), "caption"))
    with st.container(key="dropped", gap="small"):
        for one in found:
            if not one.holds:
                _draw_dropped(library, one)
    if holding := [one for one in found if one.holds]:
        with st.expander(f"{prose.count(len(holding), 'question')} that hold", key="holding", type="compact"):
            for one in holding[:SHOWN]:
                _draw_holding(library, one)
            if len(holding) > SHOWN:
                st.html(prose.plain(f"and {len(holding) - SHOWN} more; the command rag pinned lists all."))
    _draw_form(library, collections)


@st.fragment(run_every=PULSE)
def _watch(library: Library) -> None:
    """The sum, while it changes; when all are done, the page is drawn anew without looking again."""
    found = library.pinned()
    if not any(one.waiting for one in found):
        st.rerun()
    st.html(prose.plain(_sum(found), "caption"))


def _sum(found: list[Pinned]) -> str:
    """How many hold, by collection where there are several, and how many are to be asked again."""
    parts = []
    waiting = sum(one.waiting for one in found)
    names = sorted({one.collection for one in found})
    for name in names:
        mine = [one for one in found if one.collection == name]
        held = f"{sum(one.holds for one in mine)} of {len(mine)} hold"
        parts.append(f"{name}: {held}" if len(names) > 1 else held)
    if waiting:
        parts.append(f"{waiting} to be asked again")
    return " · ".join(parts)


def _draw_dropped(library: Library, one: Pinned) -> None:
    says = SAYS[one.result.outcome] if one.result else ""
    since = f"Since {prose.day(one.result.at)}" if one.result else ""
    because = f"{since}: {'; '.join(one.because)}." if one.because else f"{since}."
    lines = [says, f"Approved: {_short(one.answer)}", because]
    with st.container(key=f"drop-{one.id}", gap=None):
        st.html(
            f'<div class="gl-report gl-failed"><strong>{prose.escape(one.question)}</strong>'
            + "".join(f"<span>{prose.escape(line)}</span>" for line in lines)
            + "</div>"
        )
        with st.container(horizontal=True, gap="medium", key=f"drop-buttons-{one.id}"):
            if st.button("Today’s answer", key=f"today-{one.id}", type="tertiary", icon=":material/forum:"):
                st.session_state.pop(f"answer-{one.id}", None)
                _today(library, one)
            _draw_unpin(library, one)


def _draw_holding(library: Library, one: Pinned) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"row-pin-{one.id}", wrap=False):
        st.html(
            f'<div class="gl-document"><strong>{prose.escape(one.question)}</strong>'
            f"<span>{prose.escape(_short(one.answer))}</span></div>"
        )
        _draw_unpin(library, one)


def _draw_unpin(library: Library, one: Pinned) -> None:
    if st.button("Unpin", key=f"unpin-{one.id}", type="tertiary", icon=":material/keep_off:"):
        _tried(f"“{_short(one.question)}” is asked no more.", lambda: library.unpin(one.id))


def _short(text: str, limit: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


@st.dialog("Today’s answer", width="medium", icon=":material/forum:", on_dismiss="rerun")
def _today(library: Library, one: Pinned) -> None:
    """Ask once, show, and let a person say that this is right now."""
    key = f"answer-{one.id}"
    if key not in st.session_state:
        try:
            with st.spinner("Asking"):
                st.session_state[key] = library.answer_pinned(one.id)
        except GroundlingError as error:
            st.html(prose.notice(str(error), "error"))
            return
    given: Answer = st.session_state[key]
    st.html(f'<h2 class="gl-question">{prose.escape(one.question)}</h2>')
    with st.container(key="today-now", gap="small"):
        st.html(prose.plain("Now", "caption") + prose.prose(given.text))
        for number, cited in enumerate(given.citations, start=1):
            st.html(prose.quotation(cited.quote, number) + prose.plain(prose.place(cited.as_dict())))
        if given.reason:
            st.html(prose.plain(given.reason, "reason"))
        st.html(prose.plain("Approved", "caption") + prose.prose(one.answer))
    with st.container(horizontal=True, key="today-buttons"):
        if st.button("This is right now", key="today-yes", type="primary"):
            _tried("Approved.", lambda: library.pin(given.answer_id, expected=one.expected, instead_of=one.id))
        if st.button("Leave it", key="today-no"):
            st.rerun()


def _draw_form(library: Library, collections: list[str]) -> None:
    with (
        st.expander("Pin a question by hand", key="pin-by-hand", type="compact"),
        st.form("pin", border=False, clear_on_submit=True),
    ):
        question = st.text_input("Question", key="pin-question")
        expected = st.text_input(
            "Words that must occur in the answer (optional)",
            key="pin-expected",
            placeholder="27 days | twenty-seven days",
            help="Alternatives with | between them. Without words, today’s answer is what is approved.",
        )
        names: list[str | None] = [None, *collections]
        collection = st.selectbox(
            "Collection to ask",
            names,
            key="pin-collection",
            format_func=lambda name: str(name or "All collections"),  # a list shows letters as they are
        )
        sent = st.form_submit_button("Ask and pin", key="pin-send")
    if sent and question.strip():
        words = [word.strip() for word in expected.split("|") if word.strip()]
        with st.spinner("Asking"):
            _tried("Pinned.", lambda: library.pin_question(question, collection=collection, expected=words))


def _tried(words: str, change: object) -> None:
    """Change something and draw anew, with what became of it."""
    assert callable(change)
    try:
        change()
    except GroundlingError as error:
        st.session_state[OUTCOME] = (str(error), "error")
    else:
        st.session_state[OUTCOME] = (words, "good")
    st.rerun()

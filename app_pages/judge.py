"""What a person thinks of an answer: thumbs, a reason, a better answer, the right words, a second answer beside it.

Takes   the library and an answer as the object of the command line's JSON.
Gives   drawn elements under the answer. Reason, correction and marked words belong to one judgement, which stays
        changeable; taking the thumb back withdraws it.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app_pages import browser, prose
from rag.errors import GroundlingError, NotFound
from rag.judgement import Judgement
from rag.library import REASONS, Library

WORDS = {  # how a person would say it; keys are feedback.REASONS
    "passage_missed": "It missed a passage",
    "wrong_words": "It quoted the wrong words",
    "unsupported": "The quotation does not support it",
    "outdated": "It is out of date",
    "should_have_refused": "The documents do not say this",
    "should_have_answered": "The documents do answer this",
    "style": "It is badly worded",
}
VERDICTS = ("down", "up")  # as the thumbs count them
THANKS = "Thank you. Your judgement is kept with the answer."
STATES = {"accepted": "A reviewer accepted this.", "rejected": "A reviewer did not accept this."}


def keep(library: Library, answer_id: str, **changes: Any) -> Judgement:
    """Store `reason`, `better` or `marked` with this person's thumb down, which is given where it is missing."""
    made = library.judgement(answer_id)
    if made is not None and made.verdict == "down":
        return library.edit_judgement(made.id, **changes)
    if made is None or made.verdict == "up":
        st.session_state[f"thumb-{answer_id}"] = 0  # the thumbs are drawn again with it
    reason, better, marked = (changes.get(name) for name in ("reason", "better", "marked"))
    return library.rate(answer_id, "down", reason=reason, correction=better, marked=marked)


def draw_thumbs(library: Library, answer_id: str) -> None:
    """Up or down; down asks for a reason, and the same thumb again takes the judgement back."""
    verdict_key = f"verdict-{answer_id}"
    moved = st.session_state.pop(f"thumb-{answer_id}", None)
    if moved is not None:
        st.session_state[verdict_key] = moved

    def judged() -> None:
        verdict = st.session_state[verdict_key]
        st.session_state[_asks(answer_id)] = verdict == 0
        try:
            if verdict is None:
                library.withdraw(answer_id)
            else:
                library.rate(answer_id, VERDICTS[verdict])
        except NotFound:
            pass  # taken back in another window already
        except GroundlingError as error:
            st.toast(prose.label(str(error)))

    made = library.judgement(answer_id)
    default = VERDICTS.index(made.verdict) if made and moved is None else None
    st.feedback("thumbs", key=verdict_key, on_change=judged, default=default)


def draw_judgement(library: Library, answer_id: str) -> bool:
    """The form where it is open, else what was said. True when the right words are to be marked."""
    made = library.judgement(answer_id)
    if made is None or made.verdict != "down":
        return False
    if st.session_state.get(_asks(answer_id)):
        return _draw_form(library, answer_id, made)
    said = _summary(made)
    if said:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"judged-{answer_id}"):
            st.html(prose.plain(said, "judged"), width="content")
            if st.button("Change", key=f"change-{answer_id}", type="tertiary"):
                st.session_state[_asks(answer_id)] = True
                st.rerun()
    return False


def _draw_form(library: Library, answer_id: str, made: Judgement) -> bool:
    with st.container(key=f"unseen-form-{answer_id}"):
        browser.bring_into_view(f".st-key-why-{answer_id}", f"form-look-{answer_id}", f"form-{answer_id}-{made.at}")
    with st.form(f"reason-{answer_id}", border=True):
        reason = st.pills(
            "What was wrong?", list(REASONS), key=f"why-{answer_id}", default=made.reason,
            format_func=lambda name: WORDS.get(name, name),
        )  # fmt: skip
        better = st.text_area(
            "What would have been right? (optional)", made.better or "", key=f"right-{answer_id}", height=80
        )
        if made.marked and made.marked.quote:
            st.html(prose.plain(_marked(made), "judged"))
        with st.container(horizontal=True, key=f"reason-buttons-{answer_id}"):
            sent = st.form_submit_button("Send", key=f"send-{answer_id}", type="primary")
            marking = st.form_submit_button(
                "Show where it stands", key=f"mark-{answer_id}", icon=":material/ink_highlighter:"
            )
            skipped = st.form_submit_button("Skip", key=f"skip-{answer_id}", type="tertiary")
    if sent or marking:
        keep(library, answer_id, reason=reason, better=better.strip() or None)
    if sent:
        st.toast(THANKS)
    if sent or skipped:
        st.session_state[_asks(answer_id)] = False
        st.rerun()
    return bool(marking)


def _summary(made: Judgement) -> str:
    """One line: what was said, and what a reviewer made of it."""
    parts = [
        WORDS.get(made.reason, made.reason) if made.reason else "",
        f"Better: {made.better}" if made.better else "",
    ]
    parts += [_marked(made) if made.marked and made.marked.quote else "", STATES.get(made.state, "")]
    return " · ".join(part.rstrip(".") for part in parts if part)


def _marked(made: Judgement) -> str:
    assert made.marked is not None, "the caller has looked"
    quote = " ".join(made.marked.quote.split())
    return f"Right words: “{quote if len(quote) <= 80 else quote[:79] + '…'}” in {made.marked.document}"


def _asks(answer_id: str) -> str:
    return f"asks-reason-{answer_id}"

"""Review: the queue of judgements, one at a time, each with its answer, its passages and what it will become.

Takes   filters (state, kind, collection, words) and the keys A, X, E, U, J, K.
Gives   decisions: accepted, rejected, corrected first or put back. Nothing but what is accepted here trains a model.
A decision names the judgement as it was shown: what somebody else has changed meanwhile is shown again, not overruled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app_pages import address, correcting, prose, turns
from app_pages.source import open_source
from rag.errors import GroundlingError, NotFound
from rag.judgement import Judgement
from rag.library import REASONS, STATES, Library
from rag.types import LOCAL_OWNER

if TYPE_CHECKING:
    from rag.library import QueueRow

QUEUE, AT, DECIDED, OUTCOME = "review-queue", "review-at", "review-decided", "review-outcome"
EDITING = "review-editing"  # the id of the judgement that is being corrected
ALL = ""  # of a filter
KINDS = (ALL, "up", "down", *REASONS, "choice")
ROUTES = {  # what becomes of a judgement; keys are review.ROUTES
    "retriever pair": "The search learns to find these words for this question.",
    "span label": "The reader learns to point at these words.",
    "no-answer label": "The reader learns that these passages do not answer the question.",
    "preference": "One wording is preferred over another.",
    "document": "Nothing for a model: the document’s owner should look at it. Insight lists it.",
}
EMPTY = {
    "new": "Nothing waits for a review. Judgements come from the thumbs under answers.",
    "accepted": "Nothing has been accepted yet.",
    "rejected": "Nothing has been rejected.",
}


def main() -> None:
    """The page."""
    library: Library = st.session_state["library"]
    st.html('<h1 class="gl-page">Review</h1>')
    filters = draw_filters(library)
    queue = _queue(library, filters)
    if outcome := st.session_state.pop(OUTCOME, None):
        st.html(prose.notice(*outcome))
    if not queue:
        _draw_empty(filters)
        return
    at = st.session_state[AT] = max(0, min(st.session_state.get(AT, 0), len(queue) - 1))
    try:
        row = library.judgement_row(queue[at])
    except NotFound:  # withdrawn or erased since it was listed
        queue.pop(at)
        st.rerun()
    pressed = turns.Pressed()
    draw_row(library, row, f"{at + 1} of {len(queue)}", pressed)
    with st.session_state["composer"]:
        draw_decisions(library, row, len(queue))
    if pressed.citation:
        open_source(library, pressed.citation)


# --- the queue --------------------------------------------------------------------------------------------------------


def draw_filters(library: Library) -> dict[str, Any]:
    """What is in the queue."""
    with st.container(horizontal=True, vertical_alignment="center", key="review-filters", gap="xsmall"):
        state = address.choice("State", STATES, key="state", default="new")
        kind = st.selectbox(
            "Kind", KINDS, key="review-kind", width=170, label_visibility="collapsed", format_func=_kind_in_words
        )
        names = sorted({document.collection for document in library.documents()})
        collection = ALL
        if len(names) > 1:
            collection = st.selectbox(
                "Collection", [ALL, *names], key="review-collection", width=150, label_visibility="collapsed",
                format_func=lambda name: name or "All collections",
            )  # fmt: skip
        text = st.text_input(
            "Find words", key="review-text", placeholder="Find words", icon=":material/search:", width=120,
            label_visibility="collapsed",
        )  # fmt: skip
    return {"state": state, "reason": kind or None, "collection": collection or None, "text": text.strip() or None}


def _kind_in_words(kind: str) -> str:
    general = {ALL: "All kinds", "up": "Judged up", "down": "Judged down", "choice": "Choices between two"}
    return general.get(kind) or turns.WORDS.get(kind, kind)


def _queue(library: Library, filters: dict[str, Any]) -> list[str]:
    """Ids in their order; listed anew where the filters or the library have changed, else as this tab left them."""
    made_for = (tuple(filters.values()), library.revision())
    kept = st.session_state.get(QUEUE)
    if kept is None or kept[0] != made_for:
        if kept is None or kept[0][0] != made_for[0]:
            st.session_state[AT] = 0
        kept = st.session_state[QUEUE] = (made_for, library.judgements_waiting(**filters))
    queue: list[str] = kept[1]
    return queue


def _draw_empty(filters: dict[str, Any]) -> None:
    filtered = filters["reason"] or filters["collection"] or filters["text"]
    st.html(prose.plain("Nothing here fits these filters." if filtered else EMPTY[filters["state"]], "lead"))
    st.html(prose.plain("Only what was accepted here ever trains a model: rag export --bundle FILE takes it out."))
    if DECIDED in st.session_state:
        library: Library = st.session_state["library"]
        with st.session_state["composer"], st.container(horizontal=True, key="decisions"):
            _draw_undo(library)


# --- one judgement ----------------------------------------------------------------------------------------------------


def draw_row(library: Library, row: QueueRow, position: str, pressed: turns.Pressed) -> None:
    """The judgement, what it becomes, the answer, the passages."""
    made = row.judgement
    with st.container(key=f"review-{made.id}", gap="small"):
        st.html(
            f'<h2 class="gl-verdict">{prose.escape(verdict(made))}</h2>'
            + prose.plain(" · ".join([position, *facts(row)]), "quiet")
        )
        if made.better:
            st.html(prose.plain("It should have said", "caption") + prose.quotation(made.better))
        if made.marked:
            st.html(prose.plain("The right words", "caption"))
            words = made.marked.quote or "(the document was removed)"
            place = {"document": made.marked.document, "version": made.marked.version, "page": None}
            mark = {**place, "start": made.marked.start, "end": made.marked.end, "quote": words}
            turns.draw_quotations([mark], f"mark-{made.id}", pressed, numbered=False)
        if made.note:
            st.html(prose.plain(f"Note: {made.note}", "reason"))
        st.html(_becomes(row))
        if st.session_state.get(EDITING) == made.id:
            draw_correction(library, row)
        turns.draw_question(row.question)
        draw_answers(row, pressed)
        draw_passages(row, pressed)


def verdict(made: Judgement) -> str:
    """What the person said, in a line."""
    if made.kind == "choice":
        return "Found both as good" if made.verdict == "equal" else "Preferred one of two answers"
    reason = turns.WORDS.get(made.reason or "", "")
    return f"Judged {made.verdict}" + (f": {reason[:1].lower()}{reason[1:]}" if reason else "")


def facts(row: QueueRow) -> list[str]:
    """Who, when, who agrees, what happened since."""
    made, (alike, otherwise) = row.judgement, row.agreement
    told = [f"by {_who(made.person)} on {prose.day(made.at)}"]
    told += [f"{_others(count)} {how}" for count, how in ((alike, "the same"), (otherwise, "otherwise")) if count]
    if not alike + otherwise:
        told.append("nobody else judged this")
    if made.editor and made.edited_at:
        told.append(f"changed by {_who(made.editor)} on {prose.day(made.edited_at)}")
    if made.reviewer and made.reviewed_at:
        told.append(f"{made.state} by {_who(made.reviewer)} on {prose.day(made.reviewed_at)}")
    return told


def _who(person: str) -> str:
    return "the owner" if person == LOCAL_OWNER else person


def _others(count: int) -> str:
    return "1 other says" if count == 1 else f"{count} others say"


def _becomes(row: QueueRow) -> str:
    """What an accepted judgement teaches, as HTML."""
    head = {"accepted": "Becomes", "rejected": "Becomes nothing. Accepted, it would become"}.get(
        row.judgement.state, "If accepted, becomes"
    )
    if not row.route:
        words = "Nothing: it says too little. Correct it: mark the right words, or write a better answer."
        if row.judgement.kind == "choice":
            words = "Nothing: neither answer was preferred."
        return f'<div class="gl-becomes"><strong>{head}</strong><span>{words}</span></div>'
    lines = "".join(
        f"<li><b>{prose.escape(name[:1].upper() + name[1:])}.</b> {prose.escape(ROUTES.get(name, ''))}</li>"
        for name in row.route
    )
    return f'<div class="gl-becomes"><strong>{head}</strong><ul>{lines}</ul></div>'


def draw_answers(row: QueueRow, pressed: turns.Pressed) -> None:
    """The answer with its quotations; of a choice both, the preferred one first."""
    if row.other is None:
        _draw_answer(row.answer, f"review-{row.judgement.id}", pressed)
        return
    equal = row.judgement.verdict == "equal"
    for place, answer, title in zip(
        st.columns(2), (row.answer, row.other), ("One", "The other") if equal else ("Preferred", "Not preferred"),
        strict=True,
    ):  # fmt: skip
        with place:
            st.html(prose.plain(title, "caption"))
            _draw_answer(answer, f"review-{answer['answer_id']}", pressed)


def _draw_answer(answer: dict[str, Any], key: str, pressed: turns.Pressed) -> None:
    st.html(prose.prose(answer["answer"]))
    if answer["abstained"] and answer.get("reason"):
        st.html(prose.plain(answer["reason"], "reason"))
    turns.draw_quotations(answer["citations"], key, pressed)
    if answer.get("nearest"):
        st.html(prose.plain("What came nearest", "caption"))
        turns.draw_quotations(answer["nearest"], f"{key}-nearest", pressed, numbered=False)


def draw_passages(row: QueueRow, pressed: turns.Pressed) -> None:
    """What was read, folded away."""
    with st.expander(
        f"{prose.count(len(row.passages), 'passage')} that were read", key="review-passages", type="compact"
    ):
        if row.withheld:
            left_out = f"{prose.count(row.withheld, 'passage')} not shown: not open to you, or removed since."
            st.html(prose.plain(left_out))
        for number, passage in enumerate(row.passages, start=1):
            with st.container(key=f"passage-{row.judgement.id}-{number}", gap="xxsmall"):
                st.html(prose.plain(correcting.name_of(passage, number), "caption") + prose.quotation(passage["text"]))
                key = f"passage-open-{row.judgement.id}-{number}"
                if st.button("Open the document", key=key, type="tertiary", icon=":material/description:"):
                    pressed.citation = passage
    st.html(prose.plain(f"Model {row.model} · index generation {row.generation}"))


def draw_correction(library: Library, row: QueueRow) -> None:
    """The form; what is saved keeps its state and stays on the page with what it now becomes."""
    edits = correcting.draw(row)
    if edits is None:
        return
    if edits:
        _decide(library, row.judgement, row.judgement.state, edits=edits)
        if OUTCOME in st.session_state:
            st.html(prose.notice(*st.session_state.pop(OUTCOME)))
            return
    st.session_state.pop(EDITING, None)
    st.rerun()


# --- deciding ---------------------------------------------------------------------------------------------------------


def draw_decisions(library: Library, row: QueueRow, waiting: int) -> None:
    """The bar at the lower edge. Its keys work wherever nothing is being typed."""
    made = row.judgement

    def decide(decision: str) -> None:
        if decided := _decide(library, made, decision):
            st.session_state[DECIDED] = (decided, made.state)

    def turn(by: int) -> None:
        st.session_state[AT] = (st.session_state[AT] + by) % waiting
        st.session_state.pop(EDITING, None)

    def edit() -> None:
        st.session_state[EDITING] = None if st.session_state.get(EDITING) == made.id else made.id

    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="center", key="decisions"):
        if made.state != "accepted":
            st.button("Accept", key="accept", type="primary", shortcut="A", on_click=decide, args=("accepted",))
        if made.state != "rejected":
            st.button("Reject", key="reject", shortcut="X", on_click=decide, args=("rejected",))
        if made.kind == "rating":
            st.button("Correct", key="edit", shortcut="E", on_click=edit)
        if made.state != "new":
            st.button("Put back", key="back", shortcut="B", on_click=decide, args=("new",))
        if waiting > 1:
            st.button("Previous", key="previous", type="tertiary", shortcut="K", on_click=turn, args=(-1,))
            st.button("Next", key="next", type="tertiary", shortcut="J", on_click=turn, args=(1,))
        if DECIDED in st.session_state:
            _draw_undo(library)


def _draw_undo(library: Library) -> None:
    decided, before = st.session_state[DECIDED]

    def undo() -> None:
        st.session_state.pop(DECIDED)
        _decide(library, decided, before)

    what = {"accepted": "accepting", "rejected": "rejecting"}.get(decided.state, "putting back")
    st.button(f"Undo {what}", key="undo", type="tertiary", shortcut="U", on_click=undo)


def _decide(
    library: Library, seen: Judgement, decision: str, *, edits: dict[str, Any] | None = None
) -> Judgement | None:
    """The judgement as it is now; None where something was in the way, which the page then says."""
    changes = dict(edits or {})
    note = changes.pop(correcting.NOTE, seen.note)
    try:
        return library.review(seen.id, decision, note=note, edits=changes, seen=seen)
    except GroundlingError as error:
        st.session_state[OUTCOME] = (str(error), "warning")
        return None


main()

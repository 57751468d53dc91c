"""The app: opens the library once, lists the pages, holds the chat.

    streamlit run app.py        or `rag app`, which also chooses the index folder and the port

Takes   settings (`rag.config`): the index folder, the model, an outside endpoint.
Gives   the chat page here; documents and settings in app_pages/. Pages draw and call, nothing else.
People  of a library with accounts sign in first (app_pages/signing.py); what a page holds from then on is the library
        as that person has it, and pages that their role does not reach are not listed.
Answers stream in a thread of their own (`app_pages.work`) and are stored when they are whole: neither a touch of the
        page nor a reload nor a visit to another page loses one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from app_pages import browser, conversations, keeping, prose, recall, signing, turns
from app_pages.opening import Asked, asked_questions, open_library, starters, warming
from app_pages.work import Work
from rag.errors import GroundlingError
from rag.library import Library
from rag.types import Conversation, Done, Event, Found, Quoted, Searching, Text

HERE = Path(__file__).resolve().parent
MARK = str(HERE / "app_pages" / "mark.svg")
COLLECTION = "collection-to-ask"
ASKS = {
    "review": "reviewer", "insight": "reviewer", "quality": "administrator", "training": "administrator",
    "settings": "administrator", "people": "administrator",
}  # fmt: skip
log = logging.getLogger("groundling.app")


def main() -> None:
    """Draw the frame of all pages, then the page."""
    st.set_page_config(page_title="Groundling", page_icon=MARK, layout="centered", initial_sidebar_state="auto")
    st.html(HERE / "app_pages" / "style.css")
    st.logo(str(HERE / "app_pages" / "logo.svg"), icon_image=MARK, size="large")
    st.session_state["library"] = None
    try:
        opened = open_library()
        warming()
    except GroundlingError as error:
        _draw_broken(error)
        return
    try:
        library = st.session_state["library"] = signing.enter(opened)
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))
        library = None
    if library is None:
        st.navigation(list(_every_page().values()), position="hidden")  # so that an address stays
    else:
        _draw_pages(library)


def _every_page() -> dict[str, Any]:
    """All there are, in their order."""
    return {
        "chat": st.Page(chat, title="Chat", icon=":material/forum:", default=True),
        "documents": st.Page("app_pages/documents.py", title="Documents", icon=":material/folder_open:"),
        "review": st.Page("app_pages/feedback.py", title="Review", icon=":material/rule:", url_path="review"),
        "insight": st.Page("app_pages/insight.py", title="Insight", icon=":material/insights:"),
        "quality": st.Page("app_pages/quality.py", title="Quality", icon=":material/speed:"),
        "training": st.Page("app_pages/training.py", title="Training", icon=":material/model_training:"),
        "settings": st.Page("app_pages/settings.py", title="Settings", icon=":material/tune:"),
        "people": st.Page("app_pages/people.py", title="People", icon=":material/group:"),
        "account": st.Page("app_pages/account.py", title="Account", icon=":material/person:"),
    }


def _pages(library: Library | None) -> dict[str, Any]:
    """The pages that the person's role reaches; one whose password somebody else made sees their account alone."""
    pages = _every_page()
    account = library.account if library else None
    if library is None or account is None:
        return {name: page for name, page in pages.items() if name not in ("people", "account")}
    if account.temporary:
        return {"account": pages["account"]}
    return {name: page for name, page in pages.items() if library.may(ASKS.get(name, "reader"))}


def _draw_broken(error: GroundlingError) -> None:
    """What is wrong. A wrong setting must not close the door to where it is corrected, for whoever sits here."""
    pages = st.session_state["pages"] = _pages(None)
    page = st.navigation(list(pages.values()), position="top")
    st.html(prose.notice(str(error), "error"))
    if page is pages["settings"] and signing.from_here():
        page.run()


def _draw_pages(library: Library) -> None:
    """The page on show."""
    pages = st.session_state["pages"] = _pages(library)
    page = st.navigation(list(pages.values()), position="top")
    try:
        with st.bottom:  # drawn before the page, which may stay with an answer for a while
            st.session_state["composer"] = st.container(key="composer")
            status_line(library)
        if "chat" in pages:
            conversations.draw_sidebar(library, pages["chat"], page)
        page.run()
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))


def status_line(library: Library) -> None:
    """Model, documents and generation, small, at the end of every page."""
    state = library.status()
    parts = (
        f"Model {state['model']}",
        prose.count(state["documents"], "document"),
        f"index generation {state['generation']}",
    )
    st.html(f'<footer class="gl-status" aria-label="Status">{prose.escape(" · ".join(parts))}</footer>')


# --- the chat ---------------------------------------------------------------------------------------------------------


def chat() -> None:
    """The open conversation: its turns, the answer on its way, and the box to ask in."""
    library: Library = st.session_state["library"]
    if question := st.session_state.pop(recall.TO_ASK, None):
        ask(library, None, question)
    conversation = conversations.opened(library)
    asked = asked_questions().get(conversation.id) if conversation else None
    with st.session_state["composer"]:
        draw_collections(library)
        waiting = bool(asked and asked.work.running)
        typed = st.chat_input("Ask about your documents", key="question", disabled=waiting, submit_mode="disable")
    here = conversation.id if conversation else None
    if typed and typed.strip() and not keeping.heed(library, here, typed.strip()):
        ask(library, conversation, typed.strip())
    greeting = st.empty()  # always first: an empty one wipes the greeting away while the first answer is on its way
    if conversation is None or not (conversation.turns or asked):
        with greeting.container(key="welcome", gap="small"):
            welcome(library, conversation)
        keeping.draw_told(here)
        return
    pressed = turns.Pressed()
    running = bool(asked and asked.work.running)
    token = f"{conversation.id}-{len(conversation.turns)}-{running}"  # look when asked, and again when answered
    in_dialog = conversations.draw_header(library, conversation)
    for number, turn in enumerate(conversation.turns):
        turns.draw_turn(library, turn, number, pressed)
    in_dialog = turns.open_pressed(library, pressed) or in_dialog
    if pressed.again is not None:
        turn = conversation.turns[pressed.again]
        ask(library, conversation, turn["question"], before=pressed.again, standalone=pressed.standalone)
    keeping.draw_told(here)
    with st.container(key="unseen"):
        browser.bring_into_view(".gl-question", "look", token, block="start")
        if not running:
            browser.focus(".st-key-question textarea", "cursor", f"cursor-{token}")
    if asked:
        draw_asked(library, conversation, asked, in_dialog)


def draw_collections(library: Library) -> None:
    """Where there are several collections: which one to ask."""
    names = sorted({document.collection for document in library.documents()})
    if len(names) > 1:
        label = "Collection to ask"
        st.selectbox(
            label,
            [None, *names],
            key=COLLECTION,
            label_visibility="collapsed",
            width=240,
            format_func=lambda name: str(name or "All collections"),  # a list shows letters as they are
        )


def ask(
    library: Library,
    conversation: Conversation | None,
    question: str,
    *,
    before: int | None = None,
    standalone: str | None = None,
) -> None:
    """Start to answer, then draw anew. `before` asks as if only so many turns had been, `standalone` as it is meant."""
    if conversation is None:
        conversation = library.new_conversation()
        library.rename(conversation.id, question)  # so that it has a name while the answer is on its way
    if before_it := asked_questions().get(conversation.id):
        before_it.work.stop()
    history = [(turn["question"], turn["answer"]["answer"]) for turn in conversation.turns[:before]]
    collection = st.session_state.get(COLLECTION)
    events = partial(library.stream, question, history=history, collection=collection, standalone=standalone)
    asked_questions()[conversation.id] = Asked(question, Work(_answering(library, conversation.id, events)))
    conversations.open_conversation(conversation.id)
    st.rerun()


def _answering(
    library: Library, conversation: str, stream: Callable[[], Iterator[Event]]
) -> Callable[[Callable[[Event], None]], None]:
    def task(emit: Callable[[Event], None]) -> None:
        with closing(stream()) as events:  # type: ignore[type-var]  # begins here: it may load the model
            for event in events:
                if isinstance(event, Done):
                    library.append(conversation, event.answer)  # stored even if nobody looks any more
                emit(event)

    return task


def draw_asked(library: Library, conversation: Conversation, asked: Asked, in_dialog: bool) -> None:
    """Follow an answer on its way; when it is whole, the stored turn takes its place.

    A rerun would close an open dialog under its reader: then the turn is drawn here, and closing the dialog reruns.
    """
    with st.container(key="asked", gap="small"):
        question, searched, words, waiting, quotes, stop = (st.empty() for _ in range(6))
        question.html(f'<h2 class="gl-question">{prose.escape(asked.question)}</h2>')
        stop.button("Stop", key="stop", icon=":material/stop_circle:", type="tertiary", on_click=asked.work.stop)
        said = _follow(asked, searched, words, waiting, quotes)
        waiting.empty()
        stop.empty()
        if any(isinstance(event, Done) for event in asked.work.items):
            asked_questions().pop(conversation.id, None)
            if not in_dialog:
                st.rerun()
            for place in (question, searched, words, quotes):
                place.empty()
            stored = library.conversation(conversation.id).turns
            turns.draw_turn(library, stored[-1], len(stored) - 1, turns.Pressed())
            return
        if asked.work.error:
            words.html(prose.notice(_in_words(asked.work.error), "error"))
        else:
            partial = prose.prose(said) if said else ""
            words.html(partial + prose.plain("Stopped. Nothing of this was stored.", "reason"))
        if st.button("Ask again", key="ask-again", type="tertiary", icon=":material/refresh:"):
            ask(library, conversation, asked.question)


def _follow(asked: Asked, searched: Any, words: Any, waiting: Any, quotes: Any) -> str:
    """Draw the events as they come and return the words so far. Each pulse touches the page: only then can it stop."""
    said, cards = "", ""
    doing = "Loading the model, once after each start" if warming().running else "Searching the documents"
    for event in asked.work.follow():
        if isinstance(event, Searching):
            differs = event.question.strip() != asked.question
            understood = prose.plain(f"Understood as: {event.question}", "understood") if differs else ""
            if told := understood + keeping.used_now(event.remembered):
                searched.html(told)  # an empty piece is refused
            doing = "Searching the documents"
        elif isinstance(event, Found):
            doing = f"Reading {prose.count(len(event.hits), 'passage')}"
        elif isinstance(event, Text):
            said += event.text
            words.html(prose.prose(said))
        elif isinstance(event, Quoted) and event.number <= turns.SHOWN:
            cards += prose.quotation(event.citation.quote, event.number)
            quotes.html(cards)
        if not said:
            waiting.html(f'<p class="gl-waiting" role="status">{doing} …</p>')
        else:
            waiting.empty()
    return said


def _in_words(error: Exception) -> str:
    """What a person should read. A failure we did not foresee goes to the log whole, and is named on the page."""
    if isinstance(error, GroundlingError):
        return str(error)
    log.error("an answer failed", exc_info=error)
    return f"Something went wrong that was not foreseen ({type(error).__name__}: {error}). The log holds the details."


def welcome(library: Library, conversation: Conversation | None) -> None:
    """An empty conversation: what the library holds and three questions to start with; or what to do first."""
    documents = library.status()["documents"]
    if not documents:
        st.html(
            '<h1 class="gl-hello">Nothing to read yet</h1>'
            + prose.plain("Add your documents first: files or a whole folder. Then ask about them here.", "lead")
        )
        st.page_link(st.session_state["pages"]["documents"], label="Add documents", icon=":material/upload_file:")
        return
    held = "your document" if documents == 1 else f"your {prose.count(documents, 'document')}"
    st.html(
        '<h1 class="gl-hello">What would you like to know?</h1>'
        + prose.plain(f"Answers come from {held}, with the exact words they rest on.", "lead")
    )
    for number, question in enumerate(starters(library, library.status()["generation"], library.person)):
        if st.button(prose.label(question), key=f"starter-{number}", width="stretch", wrap=True):
            ask(library, conversation, question)


if __name__ == "__main__":
    main()

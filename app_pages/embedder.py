"""The notice on the Documents page that the settings name another embedder: move the library to it, or keep its own.

Takes   the library.
Gives   nothing where there is nothing to decide; else the two buttons, and while the library moves how far it is.
The work is done by a process of its own (`rag reembed`): closing the page, or the app, does not stop it.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app_pages import prose
from rag.errors import GroundlingError
from rag.library import Library

PULSE = 2.0  # seconds between two looks while the library moves
OUTCOME = "embedder-outcome"


def draw(library: Library) -> None:
    """The section."""
    if outcome := st.session_state.pop(OUTCOME, None):
        st.html(prose.notice(*outcome))
    choice, now = library.embedder_choice(), library.reembedding()
    if choice is None or (choice.kept and not (now and now.going_on)):
        return
    with st.container(key="embedder", gap="small"):
        if now is not None and now.going_on:
            st.fragment(_moving, run_every=PULSE)(library)
        else:
            _ask(library, choice, now)


def _ask(library: Library, choice: Any, now: Any) -> None:
    """What is to be decided."""
    said = str(choice)
    cost = "Re-embedding runs in the background; until it is done nothing changes for those who ask."
    st.html(prose.notice(f"{said[0].upper()}{said[1:]}. {cost if choice.answers else ''}", "warning"))
    if now is not None and now.wanted in ("", choice.wanted):
        far = f"Re-embedding stopped at {now.done} of {prose.count(now.total, 'passage')}"
        st.html(prose.plain(f"{far}: {now.error}" if now.error else f"{far}.", "caption"))
    with st.container(horizontal=True, key="embedder-buttons"):
        moving = st.button("Re-embed", key="embedder-move", type="primary", icon=":material/sync:")
        keeping = choice.answers and st.button("Keep the present one", key="embedder-keep")
    try:
        if moving:
            library.start_reembedding()
            st.rerun()
        if keeping:
            library.keep_embedder()
            st.session_state[OUTCOME] = (f"The library stays with {choice.current}.", "good")
            st.rerun()
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))


def _moving(library: Library) -> None:
    """How far it is; the page is drawn anew when it ends."""
    now = library.reembedding()
    if now is None or not now.going_on:
        if now is not None and not now.error and library.embedder_choice() is None:
            st.session_state[OUTCOME] = (f"The library answers with {library.embedder_name} now.", "good")
        st.rerun()
    parts = [f"Re-embedding with {now.wanted}" if now.wanted else "Re-embedding"]
    if now.total:
        parts += [f"{now.done} of {prose.count(now.total, 'passage')}", f"{now.per_second:.0f} a second"]
        if now.seconds_left:
            parts.append(f"about {prose.duration(now.seconds_left)} left")
    st.progress(min(now.done / now.total, 1.0) if now.total else 0.0, prose.label(" · ".join(parts)))
    if st.button("Stop", key="embedder-stop", type="tertiary", icon=":material/stop_circle:"):
        try:
            library.stop_reembedding()
        except GroundlingError as error:
            st.html(prose.notice(str(error), "error"))

"""What one process holds for all its tabs: the library, opened once, and the answers on their way.

Streamlit runs app.py anew at each touch; what these functions give survives the runs, the tabs and a reload.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

import rag
from app_pages.work import Work
from rag.config import Settings
from rag.library import Library
from rag.types import Event


@dataclass
class Asked:
    """A question on its way to an answer."""

    question: str
    work: Work[Event]


@st.cache_resource(show_spinner="Opening the library")
def open_library() -> Library:
    """The library of the settings; the Settings page clears it when one changes."""
    settings = Settings()
    return rag.open(settings.index, settings)


@st.cache_resource(show_spinner=False)
def warming() -> Work[None]:
    """Loads what the first question needs while people still read the page; a failure is told by that question."""
    library = open_library()
    return Work(lambda _: library.warm())


@st.cache_data(show_spinner=False, max_entries=100)
def starters(_library: Library, generation: int, person: str | None) -> list[str]:  # noqa: ARG001 - the key
    """Three questions to start with, out of the documents that this person may read; not looked for at every touch."""
    return _library.starters(3)


@st.cache_resource(show_spinner=False)
def asked_questions() -> dict[str, Asked]:
    """Answers on their way, by conversation."""
    return {}

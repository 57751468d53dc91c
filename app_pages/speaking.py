"""Fields for who words the answers, and how words are drawn: on the Settings page, and where two answers are compared.

Takes   the settings as they are.
Gives   drawn fields, inside a form of the caller; their values as `Settings.but` takes them.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from rag.config import Settings

SPEAKERS = {
    "auto": ("As set up", "The outside model where one is named below, else the quoted words."),
    "span": ("Quoted words", "The best sentence, list or table row of the documents, tidied by rules."),
    "trunk": ("Own model", "A trunk writes the words; sentences that its quotations do not hold are left out."),
    "endpoint": ("Outside model", "The server named below."),
}
DRAWN = (
    "Count only where a model writes the words. At temperature 0 the likeliest word is always taken, and the same "
    "question gets the same answer."
)


def draw(settings: Settings, *, key: str = "", compared: bool = False) -> dict[str, Any]:
    """The fields. `compared`: for one answer, so that what belongs to the set-up is left out."""
    offered = [name for name in SPEAKERS if not compared or name != "auto"]
    current = settings.speaker if settings.speaker in offered else "span"
    speaker = st.radio(
        "Who words the answers",
        offered,
        index=offered.index(current),
        key=f"{key}speaker",
        captions=None if compared else [SPEAKERS[name][1] for name in offered],
        format_func=lambda name: SPEAKERS[name][0],
        horizontal=compared,
    )
    trunk = str(settings.trunk or "")
    if not compared:
        trunk = st.text_input(
            "Folder of the own model that speaks",
            trunk,
            key=f"{key}trunk",
            placeholder="The model that reads, where it can speak",
            help="A folder that `trainer export` wrote. The model that reads stays the one above.",
        )
    how = settings.generation
    with st.container(horizontal=True, key=f"{key}drawing", gap="medium"):
        temperature = st.number_input(
            "Temperature", 0.0, 2.0, how.temperature, 0.1, key=f"{key}temperature", width=160, help=DRAWN
        )
        top_p = st.number_input(
            "Top-p", 0.01, 1.0, max(0.01, how.top_p), 0.05, key=f"{key}top-p", width=160, help=DRAWN
        )
        seed = st.number_input("Seed", 0, 2**31 - 1, how.seed, 1, key=f"{key}seed", width=160, help=DRAWN)
    chosen = {"speaker": speaker, "generation": {"temperature": temperature, "top_p": top_p, "seed": seed}}
    return chosen if compared else chosen | {"trunk": trunk.strip()}

"""Recordings: what a speech model of this machine hears, in stretches that know when they were said.

    file ─► speech.heard: pieces with times ─► sentences, at most LONGEST_S long ─► Page(at=seconds)

Takes   the path of a recording, and the folder of a speech model (the setting `sound_model`).
Gives   one `Page` without a number for each sentence, or for as much as is said without a pause.
Refuses with LoadError where no speech model is named, or the recording holds no speech.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rag.errors import LoadError
from rag.load import speech
from rag.load.speech import Heard
from rag.types import Page

SUFFIXES = (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus")
LONGEST_S = 30.0  # seconds of a sentence; a quotation's time is never further from its words
PAUSE_S = 1.5  # seconds of silence that end a sentence where the model writes no full stops
ENDS = (".", "!", "?", "…", "。", "！", "？")


def pages(path: Path, model: Path | None = None) -> Iterator[Page]:
    """Everything that is said in a recording."""
    if model is None:
        raise LoadError(
            f"{path.name}: a recording, and no speech model to read it with; name its folder with the setting "
            "`sound_model` (GROUNDLING_SOUND_MODEL=FOLDER, see docs/connectors.md)"
        )
    found = False
    for at, text in _sentences(speech.heard(path, model)):
        found = True
        yield Page(None, text, at=at)
    if not found:
        raise LoadError(f"{path.name}: the speech model hears no words; is it a recording of speech, in its language?")


def _sentences(pieces: Iterator[Heard]) -> Iterator[tuple[float, str]]:
    """Pieces joined to sentences, each with the time at which it begins."""
    begun, ended, words = 0.0, 0.0, ""
    for piece in pieces:
        text = " ".join(piece.text.split())
        if words and (words.endswith(ENDS) or piece.start - ended > PAUSE_S or piece.end - begun > LONGEST_S):
            yield begun, words
            words = ""
        if text:
            begun, words = (begun, f"{words} {text}") if words else (piece.start, text)
            ended = piece.end
    if words:
        yield begun, words

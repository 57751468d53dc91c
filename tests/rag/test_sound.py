"""Recordings: heard by a model of this machine, found, and cited by the time at which it is said."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import wave
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import rag
from rag import load
from rag.chunk import chunk
from rag.clean import draft
from rag.config import Settings
from rag.errors import LoadError, ModelError
from rag.load import sound, speech
from rag.load.speech import Heard
from rag.moments import clock, moment
from rag.types import Citation, Page

SAID = (
    "Good morning everybody. This is the meeting of the office committee.",
    "The canteen opens at seven in the morning and closes at three in the afternoon.",
    "Every visitor must wear a badge inside the building.",
)
PAUSE_S = 2
needs_voice = pytest.mark.skipif(shutil.which("flite") is None, reason="needs the program flite, which speaks")
needs_ears = pytest.mark.skipif(
    find_spec("pocketsphinx") is None or find_spec("faster_whisper") is None,
    reason='needs pocketsphinx and pip install "groundling[sound]"',
)


def sentences(*pieces: Heard) -> list[tuple[float, str]]:
    return list(sound._sentences(iter(pieces)))


def test_pieces_become_sentences_with_the_time_at_which_they_begin() -> None:
    found = sentences(
        Heard(0.0, 2.0, " The canteen opens"), Heard(2.0, 4.5, " at seven."), Heard(4.6, 6.0, " Bring a badge.")
    )
    assert found == [(0.0, "The canteen opens at seven."), (4.6, "Bring a badge.")]


def test_a_pause_ends_a_sentence_and_so_does_its_length() -> None:
    assert sentences(Heard(0, 2, "first thing"), Heard(5, 6, "second thing")) == [
        (0, "first thing"),
        (5, "second thing"),
    ]
    long = [Heard(n * 5.0, n * 5.0 + 5, f"part {n}") for n in range(12)]
    assert [at for at, _ in sentences(*long)] == [0.0, 30.0]


def test_a_passage_holds_several_sentences_and_knows_when_it_begins() -> None:
    pages = [Page(None, f"Sentence number {n} of the talk is about the garden.", at=n * 4.0) for n in range(40)]
    made = draft(pages, title="talk")
    chunks = chunk(made)
    assert 1 < len(chunks) < 10
    assert all(made.text[one.start : one.end] == one.text for one in chunks)
    assert [one.page for one in chunks] == [None] * len(chunks)
    assert chunks[0].at == 0.0
    for one in chunks:
        first = int(one.text.split()[2])
        assert one.at == first * 4.0
    place = made.text.index("number 17")
    assert clock(moment(made.pages, place)) == "00:01:08"


def test_a_document_that_is_no_recording_has_no_times() -> None:
    made = draft([Page(1, "Words."), Page(2, "More.")], title="paper")
    assert moment(made.pages, 3) is None
    assert "time" not in Citation("a", 1, 1, 0, 1, "x", 1, 0.5).as_dict()
    assert Citation("a", 1, None, 0, 1, "x", 1, 0.5, "00:12:31").as_dict()["time"] == "00:12:31"


def test_without_a_model_a_recording_is_refused_with_the_setting(tmp_path: Path) -> None:
    file = tmp_path / "talk.wav"
    silence(file, 0.2)
    with pytest.raises(LoadError, match=r"talk\.wav: a recording.*sound_model"):
        list(load.pages(file))


def test_a_folder_that_holds_no_speech_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no speech model there.*model\.bin"):
        list(speech.heard(tmp_path / "talk.wav", tmp_path))
    (tmp_path / "model.bin").touch()
    with pytest.raises(ModelError, match=r"config\.json and tokenizer\.json missing"):  # it would be downloaded
        list(speech._by_whisper(tmp_path / "talk.wav", tmp_path))


# --- real ears --------------------------------------------------------------------------------------------------------


def silence(file: Path, seconds: float) -> None:
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(struct.pack("<h", 0) * int(16_000 * seconds))


def spoken(file: Path, *sentences: str) -> list[float]:
    """Speak sentences into a file, with pauses; when each begins."""
    begins = []
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        at = 0.0
        for number, text in enumerate(sentences):
            one = file.with_name(f"{number}.wav.part")
            subprocess.run(["flite", "-voice", "slt", "-t", text, str(one)], check=True)
            with wave.open(str(one)) as read:
                assert read.getframerate() == 16_000
                out.writeframes(read.readframes(read.getnframes()))
                begins.append(at)
                at += read.getnframes() / 16_000 + PAUSE_S
            one.unlink()
            out.writeframes(struct.pack("<h", 0) * 16_000 * PAUSE_S)
    return begins


@pytest.fixture(scope="module")
def ears() -> Path:
    import pocketsphinx

    return Path(pocketsphinx.get_model_path()) / "en-us"


@pytest.mark.slow
@needs_voice
@needs_ears
def test_a_spoken_sentence_is_found_and_cited_by_its_time(ears: Path, tmp_path: Path, untrained_reader: Path) -> None:
    talks = tmp_path / "talks"
    talks.mkdir()
    begins = spoken(talks / "meeting.wav", *SAID)
    silence(talks / "nothing.wav", 3.0)
    index = tmp_path / "index"
    settings = Settings(index=index, sound_model=ears, model=untrained_reader)
    with rag.open(index, settings) as library:
        reports = {report.document: report for report in library.add([talks])}
        assert reports["meeting.wav"].status == "added"
        assert reports["nothing.wav"].status == "failed"
        assert "hears no words" in str(reports["nothing.wav"].reason)
        (hit,) = library.search("When does the canteen open?", 1)
        assert SAID[1] in hit.text
        assert hit.page is None
        assert hit.time is not None
        answer = library.ask("When does the canteen close?")
        (cited, *_) = answer.citations or answer.nearest
        document = library.document("meeting.wav")
        assert document.text[cited.start : cited.end] == cited.quote
        assert cited.time is not None
        (page,) = [page for page in document.pages if SAID[1] in document.text[page.start : page.end]]
        assert page.at == pytest.approx(begins[1], abs=1.0)
        assert {one.status for one in library.add([talks])} == {"unchanged", "failed"}


@pytest.mark.slow
@needs_voice
@needs_ears
def test_the_time_stands_in_what_the_command_prints(ears: Path, tmp_path: Path) -> None:
    spoken(tmp_path / "meeting.wav", *SAID)
    environment: dict[str, Any] = {"GROUNDLING_SOUND_MODEL": str(ears), "GROUNDLING_INDEX": str(tmp_path / "index")}
    run = [sys.executable, "-m", "rag.cli"]
    given = os.environ | environment
    added = subprocess.run([*run, "add", str(tmp_path / "meeting.wav")], env=given, capture_output=True, text=True)
    assert added.returncode == 0, added.stdout + added.stderr
    said = subprocess.run([*run, "search", "badge", "--json"], env=given, capture_output=True, text=True, check=True)
    assert json.loads(said.stdout)["hits"][0]["time"] == "00:00:00"
    plain = subprocess.run([*run, "search", "badge"], env=given, capture_output=True, text=True, check=True)
    assert "meeting.wav 00:00:00" in plain.stdout

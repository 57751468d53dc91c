"""A recording becomes pieces of text with times, by a speech model that lies on this machine.

Takes   a recording in any format that FFmpeg's libraries decode, and the folder of a model:
            model.bin, config.json, tokenizer.json   a Whisper model in CTranslate2's layout (faster-whisper)
            *.lm.bin, *.dict and a folder with mdef  a model of CMU PocketSphinx, such as comes with its package
Gives   `Heard` pieces, in order, as they are recognised: an hour of speech need not be done before the first comes.
Refuses with LoadError what is longer than LONGEST_H or no sound; with ModelError a folder that holds neither kind of
        model; with MissingExtra where the package is not installed.
Nothing is fetched: a Whisper folder without its tokenizer, which its library would download, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rag.errors import LoadError, ModelError, need

LONGEST_H = 4.0  # hours: the samples of one take 230 MB
RATE = 16_000  # samples a second, as both kinds of models were trained
FRAME_S = 0.03  # seconds that the voice detector judges at a time
TASK = "Reading recordings"


class Heard(NamedTuple):
    """What was said from `start` to `end`, in seconds."""

    start: float
    end: float
    text: str


def heard(path: Path, model: Path) -> Iterator[Heard]:
    """What the model hears in a recording."""
    folder = model.expanduser()
    if (folder / "model.bin").is_file():
        return _by_whisper(path, folder)
    if any(folder.glob("*/mdef")):
        return _by_sphinx(path, folder)
    raise ModelError(
        f"{model}: no speech model there. A folder holds model.bin, config.json and tokenizer.json (Whisper in "
        "CTranslate2's layout), or *.lm.bin, *.dict and a folder with mdef (PocketSphinx): docs/connectors.md"
    )


def _samples(path: Path) -> Any:
    """The recording as float32 from -1 to 1, one channel, RATE a second."""
    audio = need("faster_whisper.audio", extra="sound", task=TASK)
    av = need("av", extra="sound", task=TASK)
    try:
        with av.open(str(path)) as opened:
            if not opened.streams.audio:
                raise LoadError(f"{path.name}: holds no sound; add the recording itself")
            hours = (opened.duration or 0) / av.time_base / 3600
        if hours > LONGEST_H:
            raise LoadError(f"{path.name}: {hours:.1f} hours, the limit is {LONGEST_H:g}; split it and add the parts")
        return audio.decode_audio(str(path), sampling_rate=RATE)
    except av.error.FFmpegError as error:
        raise LoadError(f"{path.name}: damaged, or no recording ({error}); save it again, as WAV or MP3") from error


# --- Whisper ----------------------------------------------------------------------------------------------------------


def _by_whisper(path: Path, folder: Path) -> Iterator[Heard]:
    pieces, _ = _whisper(folder).transcribe(
        _samples(path),
        vad_filter=True,  # silence makes these models invent words
        condition_on_previous_text=False,  # and what they have invented makes them repeat it
    )
    for piece in pieces:
        yield Heard(piece.start, piece.end, piece.text)


@lru_cache(maxsize=1)
def _whisper(folder: Path) -> Any:
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder}: {' and '.join(missing)} missing; copy the whole folder of the converted model")
    package = need("faster_whisper", extra="sound", task=TASK)
    try:
        return package.WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{folder}: not a Whisper model in CTranslate2's layout ({error})") from error


# --- PocketSphinx -----------------------------------------------------------------------------------------------------


def _by_sphinx(path: Path, folder: Path) -> Iterator[Heard]:
    """What stands between two silences is recognised at once; its words become one sentence."""
    package = need("pocketsphinx", extra="sound", task=TASK)
    decoder = _sphinx(folder)
    sound = (np.clip(_samples(path), -1, 1) * 32767).astype("<i2").tobytes()
    ears = package.Endpointer(sample_rate=RATE, frame_length=FRAME_S)
    size, spoken = ears.frame_bytes, b""
    for start in range(0, len(sound), size):
        frame = sound[start : start + size]
        said = ears.process(frame) if len(frame) == size else ears.end_stream(frame)
        spoken += said or b""
        if spoken and not ears.in_speech:
            yield Heard(ears.speech_start, ears.speech_end, _recognised(decoder, spoken))
            spoken = b""
    if spoken:
        yield Heard(ears.speech_start, len(sound) / 2 / RATE, _recognised(decoder, spoken))


def _recognised(decoder: Any, sound: bytes) -> str:
    decoder.start_utt()
    decoder.process_raw(sound, no_search=False, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    words = found.hypstr.strip() if found else ""
    return f"{words[:1].upper()}{words[1:]}." if words else ""


@lru_cache(maxsize=1)
def _sphinx(folder: Path) -> Any:
    package = need("pocketsphinx", extra="sound", task=TASK)
    words = sorted(folder.glob("*.dict"))
    language = [file for file in sorted(folder.glob("*.lm.bin")) if "phone" not in file.name]
    if not words or not language:
        raise ModelError(f"{folder}: *.dict and *.lm.bin belong to a model of PocketSphinx; copy the whole folder")
    acoustic = next(folder.glob("*/mdef")).parent
    return package.Decoder(hmm=str(acoustic), lm=str(language[0]), dict=str(words[0]), loglevel="FATAL")

"""Every error the trainer raises on purpose, and `need()` for optional packages.

    TrainerError
    ├── RecipeError      a setting has a value it cannot have, or a key nobody knows
    ├── DataError        text, rows or shards are empty, damaged or made with another tokenizer
    ├── CheckpointError  a checkpoint is damaged or belongs to another model
    ├── DivergedError    the loss is no longer a number, or left its course
    └── MissingExtra     an optional package is not installed

A message names the value, the rule and the next step.
"""

from __future__ import annotations

import errno
from importlib import import_module
from types import ModuleType

ANY = float("inf")  # no upper limit
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # no space, no quota, file too large


class TrainerError(Exception):
    """The root: the command line prints its message and exits with 1."""


class RecipeError(TrainerError):
    """A setting has a value it cannot have, or a key nobody knows."""


class DataError(TrainerError):
    """Text, rows or shards are empty, damaged or made with another tokenizer."""


class CheckpointError(TrainerError):
    """A checkpoint is damaged or belongs to another model."""


class DivergedError(TrainerError):
    """The loss is no longer a number, or left its course; the message names the last good checkpoint."""


class MissingExtra(TrainerError):  # noqa: N818 (the same name as in the product)
    """An optional package is not installed; the message holds the line that installs it."""


def within(settings: object, **limits: tuple[float, float]) -> None:
    """Raise RecipeError where a setting is outside its limits, both of which are allowed."""
    for name, (least, most) in limits.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            allowed = f"{least:g} or more" if most == ANY else f"{least:g} to {most:g}"
            raise RecipeError(f"{name} is {value}; use {allowed}")


def in_a_line(error: TrainerError | OSError) -> str:
    """What a command says of an error of ours, or of a file or disk that the system refused.

    >>> in_a_line(OSError(28, "No space left on device"))
    'OSError: no space left on device; make room there and run again: what was finished stands'
    """
    if isinstance(error, TrainerError):
        return f"{type(error).__name__}: {error}"
    place = f"{error.filename}: " if error.filename else ""
    said = (error.strerror or str(error)).lower()
    step = "make room there" if error.errno in FULL else "see that the place exists and may be read or written"
    return f"{type(error).__name__}: {place}{said}; {step} and run again: what was finished stands"


def need(module: str, *, extra: str, task: str) -> ModuleType:
    """Import an optional package at the moment it is used.

    Raises MissingExtra with the line that installs it. A package that is present but broken keeps its own message.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise  # installed but broken: its own message is the useful one
        raise MissingExtra(f'{task} needs {module}: pip install "groundling[{extra}]"') from error

"""Every error the product raises on purpose, and `need()` for optional packages.

    GroundlingError
    ├── SettingsError      a setting has a value it cannot have
    ├── LoadError          a file could not be read
    │   └── UnknownFormat  no reader for its suffix
    ├── MissingExtra       an optional package or program is not installed
    ├── IndexDamaged       the index folder is damaged, busy or of another release
    ├── NotFound           a document, answer or conversation does not exist (or may not be read)
    ├── NotAllowed         a person's role or right does not reach so far
    ├── SignInRefused      a name and a password do not belong together, or too many were tried
    ├── TooMany            somebody asks more than the rules allow in this time
    ├── ModelError         a model folder is damaged or of another release
    ├── TooFew             there is too little to measure or to learn from
    └── EndpointError      an outside model did not answer

A message names the value, the rule and the next step: it is read by someone who cannot see the code.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


class GroundlingError(Exception):
    """The root: doors catch it, print its message and exit with 1."""


class SettingsError(GroundlingError):
    """A setting has a value it cannot have."""


class LoadError(GroundlingError):
    """A file could not be read."""


class UnknownFormat(LoadError):
    """No reader for the file's suffix."""


class MissingExtra(GroundlingError):
    """An optional package or program is not installed; the message holds the line that installs it."""


class IndexDamaged(GroundlingError):
    """The index folder is damaged, busy or of another release."""


class NotFound(GroundlingError):
    """A document, answer or conversation does not exist, or the asker may not read it."""


class NotAllowed(GroundlingError):
    """A person's role or right does not reach so far. Never about whether something exists: that is NotFound."""


class SignInRefused(GroundlingError):
    """A name and a password do not belong together, or too many were tried."""


class TooMany(GroundlingError):
    """Somebody asks more than the rules allow in this time; `wait_s` says how long to wait."""

    def __init__(self, message: str, *, wait_s: int) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class ModelError(GroundlingError):
    """A model folder is damaged or of another release."""


class TooFew(GroundlingError):
    """There is too little to measure or to learn from."""


class EndpointError(GroundlingError):
    """An outside model did not answer."""


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

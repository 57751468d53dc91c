"""Every error the trainer raises on purpose.

    TrainerError
    ├── RecipeError      a setting has a value it cannot have, or a key nobody knows
    ├── DataError        text, rows or shards are empty, damaged or made with another tokenizer
    ├── CheckpointError  a checkpoint is damaged or belongs to another model
    └── DivergedError    the loss is no longer a number

A message names the value, the rule and the next step.
"""

from __future__ import annotations


class TrainerError(Exception):
    """The root: the command line prints its message and exits with 1."""


class RecipeError(TrainerError):
    """A setting has a value it cannot have, or a key nobody knows."""


class DataError(TrainerError):
    """Text, rows or shards are empty, damaged or made with another tokenizer."""


class CheckpointError(TrainerError):
    """A checkpoint is damaged or belongs to another model."""


class DivergedError(TrainerError):
    """The loss is no longer a number; the message names the last good checkpoint."""

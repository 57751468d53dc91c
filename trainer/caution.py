"""A warning before a fine-tuning that is known to wreck a small model: few rows, many epochs, a high rate.

Takes   how many rows each kind has, the shares, and the settings of the run.
Gives   lines for people, with the numbers that led to them; nothing is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from trainer.pointing import ShowConfig


def warnings(sizes: Mapping[str, int], shares: Mapping[str, float], config: ShowConfig) -> list[str]:
    """What speaks against these settings."""
    return []

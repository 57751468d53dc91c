"""Domains in the proportions that the recipe asks for: a large domain is thinned, a small one repeated.

Takes   the sizes of the domains' clean training text and `[corpus] weights`, the shares wanted (any unit).
Gives   for each domain how often its text stands in the result: .5 keeps a random half, 2 writes everything twice.
How     as much text as possible under two limits: no more than there was, and no domain more than `most_repeats` times.
        The choice follows from a hash of each line, so the same text gives the same result.
Source  four repetitions teach almost as much as new text, more do not: Muennighoff et al., arXiv:2305.16264.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from trainer import files
from trainer.errors import RecipeError


def factors(sizes: Mapping[str, int], weights: Mapping[str, float], *, most_repeats: float) -> dict[str, float]:
    """How often each domain's text is written. Domains without a weight have 1.

    >>> factors({"web": 900, "handbooks": 100}, {"web": 1, "handbooks": 1}, most_repeats=4)
    {'web': 0.4444, 'handbooks': 4.0}
    """
    unknown = sorted(set(weights) - set(sizes))
    if unknown or any(weight < 0 for weight in weights.values()) or most_repeats < 1:
        raise RecipeError(
            f"[corpus] weights name {unknown or dict(weights)}, most_repeats is {most_repeats}; the domains are "
            f"{sorted(sizes)}, a weight is 0 or more, and most_repeats 1 or more"
        )
    wanted = {domain: weights.get(domain, 1.0) for domain, size in sizes.items() if size}
    total = sum(wanted.values())
    if not total:
        raise RecipeError("[corpus] weights are all 0; give at least one domain a share")
    shares = {domain: weight / total for domain, weight in wanted.items()}
    room = [most_repeats * sizes[domain] / share for domain, share in shares.items() if share]
    text = min([*room, sum(sizes[domain] for domain, share in shares.items() if share)])
    return {domain: round(text * share / sizes[domain], 4) for domain, share in shares.items()}


def rewrite(path: Path, factor: float) -> tuple[int, int]:
    """Thin or repeat a file of lines; returns lines and bytes written."""
    count = size = 0
    with files.aside(path) as part, path.open("rb") as source, part.open("wb") as out:
        for line in source:
            chance = int.from_bytes(hashlib.blake2b(line, digest_size=8, person=b"balance").digest(), "big") / 2**64
            times = int(factor) + (chance < factor - int(factor))
            out.write(line * times)
            count += times
            size += times * len(line)
    return count, size

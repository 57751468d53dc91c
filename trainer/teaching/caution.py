"""A warning before a fine-tuning that is known to wreck a small model: few rows, many epochs, a high rate.

    travel = steps x mean rate               how far AdamW or Muon can move each weight
    general text costs about  6 x travel     bits a byte more; half of it with a fifth of replay, a third with adapters
    epochs x mean rate > 0.02                rows are learnt by heart: their own loss falls, that of others rises

Takes   how many rows each kind has, the shares, and the settings of the run.
Gives   lines for people, with the numbers that led to them and what would help; nothing is refused.
Known   from a sweep over rows, epochs and rates on the tiny trunk, with AdamW (docs/experiments.md, 2026-11-22): right
        within a factor of 1.7 there up to a travel of 0.15, too high beyond. Larger trunks lose less by the same
        travel, so for them it warns too early.
Source  what is forgotten grows with the update steps as a power law: Kalajdzievski, arXiv:2401.05605. Replay: Scialom
        et al., arXiv:2205.12393; Ibrahim et al., arXiv:2403.08763. Adapters forget less and learn less: Biderman et
        al., arXiv:2405.09673. Rows read more than four times give little: Muennighoff et al., arXiv:2305.16264.
"""

from __future__ import annotations

from collections.abc import Mapping

from trainer import optim
from trainer.teaching.lessons import FinetuneConfig

BITS_A_TRAVEL = 6.0  # bits a byte lost on general text by steps x mean rate of 1
LOST = 0.2  # bits a byte from which general text is called lost: a model a size smaller has as much more
BY_HEART = 0.02  # epochs x mean rate from which rows are learnt by heart
REPLAYED, HALVED = 0.2, 0.5  # what is left of the loss with this share of general text; in between, on a line
ADAPTED = 0.3  # what is left of it with adapters at the same rate
REPLAY, OFTEN = 0.05, 4.0  # no warning from this share of replay on, unless rows are seen more often than that
ALONE = ("read", "review", "rewrite", "ask", "talk")  # kinds whose rows are seen again every epoch


def warnings(sizes: Mapping[str, int], shares: Mapping[str, float], config: FinetuneConfig) -> list[str]:
    """What speaks against these settings. sizes: rows by kind; shares: of the batches, summing to 1."""
    mean = mean_rate(config)
    epochs = {
        kind: config.steps * config.rows_per_step * shares[kind] / sizes[kind]
        for kind in ALONE
        if shares.get(kind) and sizes.get(kind)
    }
    replay = shares.get("replay", 0.0)
    left = 1 - (1 - HALVED) * min(replay / REPLAYED, 1.0)
    bits = BITS_A_TRAVEL * config.steps * mean * left * (ADAPTED if config.lora_rank else 1.0)
    said = []
    if bits > LOST and (replay < REPLAY or max(epochs.values(), default=0.0) > OFTEN):
        much = f"about {bits:.1f}" if bits < 1 else "more than 1"
        most = config.steps * config.peak_learning_rate * LOST / bits
        said.append(
            f"{config.steps} steps at a mean rate of {mean:.2g} move weights by up to {config.steps * mean:.2g}: "
            f"general text will cost {much} bits a byte more. Give shares.replay {REPLAYED}, set lora_rank, or keep "
            f"steps x peak_learning_rate below {most:.2g}"
        )
    for kind, times in epochs.items():
        if times * mean > BY_HEART and times > 1:
            best = max(1, int(config.steps * BY_HEART / (times * mean)))
            said.append(
                f"{sizes[kind]} {kind!r} rows are seen {times:.1f} times each at a mean rate of {mean:.2g} "
                f"({times * mean:.2g}, limit {BY_HEART}): they will be learnt by heart. Use about {best} steps, "
                "a lower peak_learning_rate, or more rows"
            )
    return said


def mean_rate(config: optim.OptimConfig) -> float:
    """The learning rate's mean over the run's schedule."""
    at = {round(i * (config.steps - 1) / 199) for i in range(200)}
    return config.peak_learning_rate * sum(optim.factor(step, config) for step in at) / len(at)

"""What a tuned retriever is told with: its card, and what tuning both sides costs besides.

Takes   the facts that `trainer.embedder` has gathered; for the cost a model and some of the passages.
Gives   Markdown; one line with passages, minutes and kWh, from a short measurement on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from trainer.energy import Meter
from trainer.retrieval.query_side import Side

PROBED = 48  # passages embedded to know the rate


def cost_of_embedding(side: Side, texts: Sequence[str], count: int, *, bf16: bool) -> str:
    """What embedding `count` passages (0: as many as there are texts) takes here, by embedding a few of them."""
    count = count or len(texts)
    some = texts[:: max(1, len(texts) // PROBED)][:PROBED]
    side.embed(some[:4], bf16=bf16)  # the first call sets up its kernels
    meter = Meter(threads=torch.get_num_threads(), cuda=side.turn.weight.is_cuda)
    began = time.monotonic()
    side.embed(some, bf16=bf16)
    seconds, joules = time.monotonic() - began, meter.sample()
    rate = len(some) / max(seconds, 1e-9)
    minutes, kwh = count / rate / 60, joules / len(some) * count / 3.6e6
    return (
        f"Tuning both sides makes a new embedder. To use it, every passage is embedded again: {count:,} passages at "
        f"{rate:.1f} a second here, about {minutes:.1f} minutes and {kwh:.4f} kWh ({meter.method}), beside the "
        "training itself; then `rag repair`. Tuning the query side alone costs none of it"
    )


def card(about: Mapping[str, Any], base: str) -> str:
    """The model card."""
    training, gain = about["training"], about["gain_ndcg_at_10"]
    before, after = about["before"], about["after"]
    rows = [
        f"| {kind} | {title} | {before[kind]['questions']} | {before[kind][name]} | {after[kind][name]} |"
        for kind in before
        for name, title in (("ndcg_at_10", "nDCG@10"), ("recall_at_5", "recall@5"))
    ]
    way = f"Weights: {about['alpha']} of the way from the base to what training found (arXiv:2109.01903)."
    use = (
        "Passages stay embedded by the base; this folder embeds questions only."
        if about["side"] == "query"
        else "A new embedder for questions and passages alike: every passage has to be embedded again."
    )
    return f"""# {about["name"]}

A retriever tuned on questions. Base: `{base}`. {use}
{way if about["alpha"] else "Nothing was gained for sure, so it equals its base."}
Licence of the weights: {about["licence"]}.

Held-out questions in percent; those that share a passage with training were left out. The part of the way was chosen on
these same questions, so they flatter a little.

| questions | measure | n | before | after |
|---|---|---|---|---|
{chr(10).join(rows)}

Gain in nDCG@10: {gain["mean"]:.2f} points
({gain["low"]:.2f} to {gain["high"]:.2f}, {gain["interval"]}).

Learnt from: {_counts(about["data"]["questions"])} questions; {about["data"]["passages"]:,} passages.
Licences of the rows: {_counts(about["data"]["licences"])}.

Cost: {training["step"]:,} steps, {training["seconds"] / 60:.1f} minutes, {training["joules"] / 3.6e6:.5f} kWh
({training.get("energy_method", "unknown")}), {training.get("precision", "fp32")}; embedding the passages once took
{about["data"]["seconds_embedding"] / 60:.1f} minutes.
"""


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counted.items(), key=lambda item: -item[1]))

"""Readers in miniature that stand between two answers: where learning from a preference must lead is known."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.trainer.bert import bert_folder
from trainer.encoder import Encoder
from trainer.encoder_reader import EncoderReader
from trainer.preference import Preference
from trainer.preference.pairs import Asked, asked
from trainer.preference.policy import tensors
from trainer.preference.span_policy import SpanPolicy

ONE, OTHER = "guests count 27 keys by hand", "guests count 31 keys by hand"
TEXT = f"In spring {ONE}. In winter {OTHER}."
QUESTION = "How many keys do guests count?"


def preference(chosen: str | None, rejected: str | None, question: str = QUESTION, text: str = TEXT) -> Preference:
    return Preference(question, (("Keys", text),), chosen, rejected)


def undecided(folder: Path, asking: Asked, *, most: int = 400) -> EncoderReader:
    """A reader that finds all acts of a question about equally likely."""
    torch.manual_seed(5)
    reader = EncoderReader(Encoder.from_folder(bert_folder(folder)))
    for part in (reader.encoder, *reader.encoder.layers):
        part.dropout = 0.0
    policy = SpanPolicy(reader.encoder)
    arrays = tensors(policy.collate([policy.encode(asking)])[0])
    optimiser = torch.optim.AdamW(reader.parameters(), lr=1e-2)
    wanted = 0.9 / len(asking.acts)
    for _ in range(most):
        optimiser.zero_grad()
        chances = policy.chances(policy.look(reader, arrays), arrays)
        if bool((chances.detach().exp() > wanted).all()):
            return reader.eval()
        (-chances.mean()).backward()
        optimiser.step()
    raise AssertionError(f"still at {chances.detach().exp().tolist()} after {most} steps")


def likely(reader: EncoderReader, *texts: str, question: str = QUESTION, text: str = TEXT) -> list[float]:
    """Probabilities of texts as answers."""
    policy = SpanPolicy(reader.encoder)
    acts = tuple(asked(preference(each, None, question, text), most=1).acts[0] for each in texts)
    encoded = policy.encode(Asked(question, asked(preference(ONE, None, question, text), most=1).sources, acts))
    assert not isinstance(encoded, str), encoded
    arrays = tensors(policy.collate([encoded])[0])
    with torch.no_grad():
        found: list[float] = policy.chances(policy.look(reader, arrays), arrays).exp().tolist()
    return found

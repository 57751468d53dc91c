"""The encoder reader as a policy: its acts are all spans of the sources, and saying that no source answers.

    log p(none) = log share(null)        log p(source, start, end) = log share(source) + start + end - log Z(source)

Takes   a question with sources, read as pairs as in `encoder_reader.py`; acts whose words stand in the sources.
Gives   log-probabilities that sum to one over every span of at most LONGEST_SPAN tokens and the refusal, and the exact
        KL between two readers, for all acts can be listed: nothing about it has to be estimated.
Shares  are the softmax that serving uses: evidence head and span head as two witnesses, against a null of logit 0.
Refuses (as a reason that is counted) an act without a place, or whose place was cut off by the length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainer.encoder import Encoder
from trainer.encoder_reader import LONGEST_SPAN, TokenPair, encode_pair
from trainer.preference.pairs import Act, Asked
from trainer.preference.policy import Arrays, Compared, tensors
from trainer.reader import in_chunks, position_in_question

NOWHERE = "their words stand in none of the sources"
CUT_OFF = "their words were cut off by the length"
SHUT = -1e4  # of a logit that may not be chosen


class TokenPlace(NamedTuple):
    """A place of an act, in tokens."""

    act: int
    source: int
    first: int
    last: int
    exact: bool


class Encoded(NamedTuple):
    """A question as tokens. Acts without a place refuse."""

    asked: Asked
    pairs: tuple[TokenPair, ...]  # one a source
    places: tuple[TokenPlace, ...]


class Look(NamedTuple):
    """One pass of a reader over pairs."""

    start: Tensor  # [pairs, time] logits, SHUT outside the text
    end: Tensor
    total: Tensor  # [pairs] log of the sum over all spans
    share: Tensor  # [pairs] log-probability that this source is taken
    null: Tensor  # [questions] log-probability of refusing


@dataclass(frozen=True)
class SpanPolicy:
    """How an encoder reader chooses."""

    encoder: Encoder  # for its tokenizer
    length: int = 384  # tokens of a pair

    def encode(self, asked: Asked) -> Encoded | str:
        """Tokens of a question; a reason where an act has no place."""
        pairs = tuple(encode_pair(self.encoder, asked.question, *s, length=self.length) for s in asked.sources)
        return self.with_acts(Encoded(asked, pairs, ()), asked.acts)

    def with_acts(self, encoded: Encoded, acts: Sequence[Act]) -> Encoded | str:
        """The same question with other acts; a reason where one has no place."""
        found: list[TokenPlace] = []
        for number, act in enumerate(acts):
            if act.words and not act.places:
                return NOWHERE
            inside = [self.tokens(encoded, number, place, exact=act.exact) for place in act.places]
            if act.places and not any(inside):
                return CUT_OFF
            found += [place for place in inside if place is not None]
        return Encoded(encoded.asked._replace(acts=tuple(acts)), encoded.pairs, tuple(found))

    def tokens(self, encoded: Encoded, act: int, place: tuple[int, int, int], *, exact: bool) -> TokenPlace | None:
        """The tokens of a place; None where it was cut off."""
        source, start, end = place
        where = encoded.pairs[source][2]
        touched = [i for i, at in enumerate(where) if at and at[0] < end and at[1] > start]
        if not touched or (where[touched[-1]] or (0, 0))[1] < end:
            return None
        return TokenPlace(act, source, touched[0], touched[-1], exact)

    def collate(self, encoded: Sequence[Encoded]) -> tuple[Arrays, int]:
        """ids, kinds, mask, open: [pairs, time]; question: [pairs]; place: [places, 5]; asks: [acts]."""
        pairs = [pair for one in encoded for pair in one.pairs]
        time = max(len(ids) for ids, _, _ in pairs)
        names = ("ids", "kinds", "mask", "open")
        arrays: Arrays = {name: np.zeros((len(pairs), time), dtype=np.int64) for name in names}
        for row, (ids, kinds, where) in enumerate(pairs):
            arrays["ids"][row, : len(ids)], arrays["kinds"][row, : len(ids)] = ids, kinds
            arrays["mask"][row, : len(ids)] = 1
            arrays["open"][row, : len(where)] = [at is not None for at in where]
        arrays["question"] = np.repeat(np.arange(len(encoded)), [len(one.pairs) for one in encoded])
        arrays["asks"] = np.repeat(np.arange(len(encoded)), [len(one.asked.acts) for one in encoded])
        rows, act, first = [], 0, 0
        for one in encoded:
            rows += [(act + p.act, first + p.source, p.first, p.last, int(p.exact)) for p in one.places]
            act, first = act + len(one.asked.acts), first + len(one.pairs)
        arrays["place"] = np.array(rows, dtype=np.int64).reshape(-1, 5)
        return arrays, int(arrays["mask"].sum())

    def look(self, model: Any, arrays: Mapping[str, Tensor]) -> Look:
        """One pass of a reader over a batch."""
        start, end, evidence = in_chunks(model, arrays["ids"], arrays["mask"], arrays["kinds"])
        # As `encoder_reader.above_null`, which serves: the best start and end behind [CLS] against those at it.
        above = start[:, 1:].amax(1) + end[:, 1:].amax(1) - start[:, 0] - end[:, 0]  # [pairs]
        question = arrays["question"]
        table = evidence.new_full((int(question.max()) + 1, len(question) + 1), SHUT)  # [questions, null + sources]
        place = position_in_question(question)
        table[:, 0] = 0.0
        shares = table.index_put((question, place), (evidence + above) / 2).log_softmax(1)
        shut = arrays["open"] == 0
        start, end = start.masked_fill(shut, SHUT), end.masked_fill(shut, SHUT)
        total = spans(start, end).flatten(1).logsumexp(1)
        return Look(start, end, total, shares[question, place], shares[:, 0])

    def chances(self, seen: Look, arrays: Mapping[str, Tensor]) -> Tensor:
        """Log-probability of each act: [acts]."""
        parts: list[list[Tensor]] = [[] for _ in range(len(arrays["asks"]))]
        for act, pair, first, last, exact in arrays["place"].tolist():
            start, end = seen.start[pair, first : last + 1], seen.end[pair, first : last + 1]
            inside = start[0] + end[-1] if exact else spans(start[None], end[None]).flatten().logsumexp(0)
            parts[act].append(seen.share[pair] + inside - seen.total[pair])
        refusing = seen.null[arrays["asks"]]
        return torch.stack([torch.stack(p).logsumexp(0) if p else refusing[act] for act, p in enumerate(parts)])

    def compare(self, seen: Look, known: Look, arrays: Mapping[str, Tensor]) -> Compared:
        """Chances and gains of the acts, and the exact divergence of each question."""
        joint = (spans(seen.start, seen.end) - seen.total[:, None, None]).exp()  # [pairs, time, time]
        starts, ends = joint.sum(2), joint.sum(1)  # [pairs, time]
        moved = (starts * (seen.start - known.start) + ends * (seen.end - known.end)).sum(1)
        inside = moved - seen.total + known.total  # [pairs] of the spans of one source
        each = seen.share.exp() * (seen.share - known.share + inside)
        null = seen.null.exp() * (seen.null - known.null)
        divergence = null.index_add(0, arrays["question"], each)
        chances = self.chances(seen, arrays) if len(arrays["asks"]) else seen.null.new_zeros(0)
        with torch.no_grad():
            before = self.chances(known, arrays) if len(chances) else chances
        return Compared(chances, chances - before, divergence, divergence.detach().mean().clamp_min(0))

    @torch.no_grad()
    def sample(self, model: Any, encoded: Sequence[Encoded], count: int) -> list[list[Act]]:
        """Spans and refusals as the reader would choose them, `count` for each question."""
        arrays = tensors(self.collate(encoded)[0])
        device = next(model.parameters()).device
        seen = self.look(model, {name: tensor.to(device) for name, tensor in arrays.items()})
        result, first = [], 0
        for number, one in enumerate(encoded):
            shares = torch.cat([seen.null[number : number + 1], seen.share[first : first + len(one.pairs)]]).exp()
            drawn = torch.multinomial(shares.cpu(), count, replacement=True).tolist()
            acts = []
            for at in drawn:
                acts.append(Act("") if at == 0 else self.drawn(seen, one, at - 1, first + at - 1))
            result.append(acts)
            first += len(one.pairs)
        return result

    def drawn(self, seen: Look, one: Encoded, source: int, pair: int) -> Act:
        """One span of a source, drawn."""
        table = spans(seen.start[pair : pair + 1], seen.end[pair : pair + 1])[0]
        at = int(torch.multinomial(table.flatten().softmax(0).cpu(), 1))
        first, last = divmod(at, table.shape[1])
        where = one.pairs[source][2]
        start, end = (where[first] or (0, 0))[0], (where[last] or (0, 0))[1]
        words = one.asked.sources[source].text[start:end]
        place, quote = (source, start, end), (str(source + 1), words)
        return Act(words, (place,), exact=True, quotes=(quote,)) if words.strip() else Act("")


def spans(start: Tensor, end: Tensor) -> Tensor:
    """The logit of every span: [pairs, time, time], start by end; SHUT twice where the end is before the start.

    >>> spans(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 3.0]]))[0].tolist()
    [[2.0, 3.0], [-20000.0, 4.0]]
    """
    time = start.shape[1]
    fits = torch.ones(time, time, dtype=torch.bool, device=start.device).triu().tril(LONGEST_SPAN - 1)
    return (start[:, :, None] + end[:, None, :]).masked_fill(~fits, 2 * SHUT)

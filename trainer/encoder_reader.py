"""An encoder that reads: which source answers, with which words, or none. `reader.py` trains it, `rag` serves it.

    (question, source) pairs ─► [CLS] question [SEP] heading, text [SEP] ─► encoder ─┬─► start/end of the answer
                                                                                     └─► evidence against a null of 0

Takes   a question and sources (heading path, text); or a model folder of kind "encoder".
Gives   evidence per source and support, all in 0..1, and spans as characters of the sources' texts: the protocol
        `SourceReader`, which the trunk answers too.
Refuses a folder of another kind or format, a file that is not the one exported (`SHA256SUMS`), a tensor that does not
        fit.
Folder  config.json, tokenizer.json, model.safetensors: word vectors as int8 with one fp32 scale a row, the rest fp16
        (33 MB; the largest change of a state is far below the noise of training: docs/formats.md).
Source  null at [CLS]: Devlin et al., arXiv:1810.04805, section 4.3; one softmax over all sources: Clark & Gardner,
        arXiv:1710.10723, section 3.4.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trainer import files, folders
from trainer.chat import Found, Source
from trainer.encoder import Encoder, EncoderConfig, load_tokenizer
from trainer.formats import checksums

FORMAT = 1
LONGEST_SPAN = 200  # tokens: a list with its items
BATCH = 8  # pairs of like length read at a time: little padding, and their states stay in the cache
Three = tuple[Tensor, Tensor, Tensor]
TokenPair = tuple[list[int], list[int], list[tuple[int, int] | None]]  # ids, kinds, characters of each token
Compute = Callable[[Callable[[list[TokenPair]], Three], list[list[TokenPair]]], Iterable[Three]]
QUESTION_CHARACTERS = 600  # a longer question is cut: the source needs the room


class EncoderReader(nn.Module):
    """Encoder with two linear heads."""

    name: str = "encoder"
    threshold: float = 0.5
    bf16: bool = False  # read in bfloat16: faster where the processor has it
    compute: Compute = map  # batches one after the other; who serves may have each computed by a thread of its own
    settings: dict[str, Any]

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder, self.settings = encoder, {}
        self.span = nn.Linear(encoder.config.width, 2)
        self.evidence = nn.Linear(encoder.config.width, 1)
        for head in (self.span, self.evidence):
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)

    def forward(self, ids: Tensor, mask: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ids, mask, kinds: [pairs, time]. Gives start and end logits [pairs, time] and evidence logits [pairs], fp32.

        A span may start only in the source's tokens (kind 1) or at [CLS], which says: not in this source.
        """
        states = self.encoder(ids, mask, kinds)  # [pairs, time, width]
        logits = self.span(states).float()  # [pairs, time, 2]
        closed = (kinds == 0) | (mask == 0)
        closed[:, 0] = False
        logits = logits.masked_fill(closed[..., None], -1e4)
        return logits[..., 0], logits[..., 1], self.evidence(states[:, 0]).squeeze(-1).float()

    @classmethod
    def from_folder(cls, folder: Path) -> EncoderReader:
        """Open a model folder. Raises FileNotFoundError, CheckpointError naming a file that was changed or damaged, or
        ValueError naming what does not fit.
        """
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if settings.get("format") != FORMAT or settings.get("kind") != "encoder":
            found = f"format {settings.get('format')}, kind {settings.get('kind')!r}"
            raise ValueError(f"{folder}: {found}; this release reads format {FORMAT}, kind 'encoder'")
        checksums.verify(folder, needed=("config.json", "model.safetensors", "tokenizer.json"))
        model = cls(Encoder(EncoderConfig(**settings["encoder"])))
        tensors = load_file(folder / "model.safetensors")
        words, scale = tensors.pop("encoder.words.int8"), tensors.pop("encoder.words.scale")
        tensors["encoder.words.weight"] = words.float() * scale[:, None]
        own = model.state_dict()
        wrong = [name for name in own if name not in tensors or tensors[name].shape != own[name].shape]
        if wrong:
            raise ValueError(f"{folder}/model.safetensors: tensor {wrong[0]} is missing or of another shape")
        model.load_state_dict({name: tensors[name].float() for name in own})
        model.encoder.tokenizer = load_tokenizer(folder / "tokenizer.json")
        model.name, model.threshold, model.settings = settings["name"], float(settings["threshold"]), settings
        return model.eval()

    def export(self, folder: Path, settings: dict[str, Any], tokenizer: Path, *, card: str = "") -> None:
        """Write a model folder by one rename; `settings` holds name, threshold, length and whatever config.json keeps.

        Raises CheckpointError where something else stands, or where the disk is full; what stood there stays.
        """
        tensors = {name: tensor.detach().half().contiguous() for name, tensor in self.state_dict().items()}
        config = replace(self.encoder.config, positions=int(settings["length"]))  # later places are never served
        tensors["encoder.places.weight"] = tensors["encoder.places.weight"][: config.positions].contiguous()
        words = self.encoder.words.weight.detach().float()  # [vocabulary, width]
        scale = words.abs().amax(1).clamp_min(1e-8) / 127
        del tensors["encoder.words.weight"]
        tensors["encoder.words.int8"] = (words / scale[:, None]).round().to(torch.int8)
        tensors["encoder.words.scale"] = scale
        words_file = json.loads(tokenizer.read_text(encoding="utf-8"))
        full = {"format": FORMAT, "kind": "encoder"} | settings | {"encoder": asdict(config)}
        with folders.exported(folder, kind="encoder") as part:
            save_file(tensors, str(part / "model.safetensors"))
            files.write_text(part / "tokenizer.json", json.dumps(words_file, separators=(",", ":")))
            files.write_text(part / "config.json", json.dumps(full, indent=1) + "\n")
            if card:
                files.write_text(part / "README.md", card)

    @torch.inference_mode()
    def read(self, question: str, sources: Sequence[Source]) -> tuple[list[float], float, list[Found]]:
        """Evidence of each source, support, and three spans a source, best first. No sources: support 0, no spans."""
        if not sources:
            return [], 0.0, []
        length, brevity = int(self.settings.get("length", 384)), float(self.settings.get("brevity", 0.0))
        pairs = [encode_pair(self.encoder, question, s.heading, s.text, length=length) for s in sources]
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]))
        evidence = torch.zeros(len(pairs))
        found: list[Found] = []
        parts = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
        batches = self.compute(self.logits, [[pairs[i] for i in part] for part in parts])
        for part, (start, end, logits) in zip(parts, batches, strict=True):
            for row, i in enumerate(part):
                # Two witnesses: the evidence head, and how far the best span stands above the null at [CLS].
                evidence[i] = (logits[row] + above_null(start[row], end[row])) / 2
                found += [Found(i, *span) for span in best_spans(start[row], end[row], pairs[i][2], brevity=brevity)]
        shares = torch.cat([evidence, torch.zeros(1)]).softmax(0).tolist()  # the last is the null
        ranked = [span._replace(score=span.score * shares[span.source]) for span in found]
        return shares[:-1], 1.0 - shares[-1], sorted(ranked, key=lambda span: -span.score)

    @torch.inference_mode()
    def logits(self, pairs: Sequence[TokenPair]) -> tuple[Tensor, Tensor, Tensor]:
        """Pad the pairs to one length and run them: start and end [pairs, time], evidence [pairs]."""
        longest = max(len(pair[0]) for pair in pairs)
        room = [[0] * (longest - len(pair[0])) for pair in pairs]
        ids = torch.tensor([pair[0] + pad for pair, pad in zip(pairs, room, strict=True)])
        kinds = torch.tensor([pair[1] + pad for pair, pad in zip(pairs, room, strict=True)])
        mask = torch.tensor([[1] * len(pair[0]) + pad for pair, pad in zip(pairs, room, strict=True)])
        with torch.autocast("cpu", dtype=torch.bfloat16) if self.bf16 else nullcontext():
            result: tuple[Tensor, Tensor, Tensor] = self(ids, mask, kinds)
        return result


def join(heading: str, text: str) -> tuple[str, int]:
    """What the encoder reads of a source, and the number of characters in front of the text."""
    front = f"{heading}\n" if heading else ""
    return front + text, len(front)


def encode_pair(encoder: Encoder, question: str, heading: str, text: str, *, length: int) -> TokenPair:
    """Ids, kinds, and for each token the characters of `text` it stands for (None for anything else)."""
    joined, front = join(heading, text)
    encoding = encoder.tokenizer.encode(question[:QUESTION_CHARACTERS], joined)
    ids, kinds = encoding.ids[:length], encoding.type_ids[:length]
    where: list[tuple[int, int] | None] = []
    for kind, sequence, (start, end) in zip(kinds, encoding.sequence_ids, encoding.offsets, strict=False):
        inside = kind == 1 and sequence == 1 and start >= front
        where.append((start - front, end - front) if inside else None)
    return ids, kinds, where


def above_null(start: Tensor, end: Tensor) -> Tensor:
    """Log odds that the source holds the answer, from the span head alone; start, end: logits [time], [CLS] first.

    The score difference of Devlin et al., arXiv:1810.04805, section 4.3.
    """
    return start[1:].max() + end[1:].max() - start[0] - end[0]


def best_spans(
    start: Tensor,
    end: Tensor,
    where: Sequence[tuple[int, int] | None],
    *,
    keep: int = 3,
    beam: int = 12,
    brevity: float = 0.0,
) -> list[tuple[int, int, float]]:
    """The `keep` likeliest spans that do not overlap, as (first character, one past the last, probability).

    start, end: logits [time]; `where` maps a token to characters. The probability is p(start) * p(end) with the null
    position left out: whether the source answers at all is the evidence's question. What is ranked is its log minus
    `brevity` times the log of the span's tokens: two heads that do not know of each other like spans too long.
    """
    open_ = torch.tensor([at is not None for at in where] + [False] * (len(start) - len(where)))
    if not bool(open_.any()):
        return []
    first = start.masked_fill(~open_, -torch.inf).log_softmax(0)  # [time]
    last = end.masked_fill(~open_, -torch.inf).log_softmax(0)
    count = min(beam, int(open_.sum()))
    firsts, lasts = first.topk(count).indices.tolist(), last.topk(count).indices.tolist()
    likely = [(float(first[s] + last[e]), s, e) for s in firsts for e in lasts if s <= e < s + LONGEST_SPAN]
    likely.sort(key=lambda one: (brevity * math.log(one[2] - one[1] + 1) - one[0], -one[1], -one[2]))
    result: list[tuple[int, int, float]] = []
    for score, s, e in likely:
        begin, stop = (where[s] or (0, 0))[0], (where[e] or (0, 0))[1]
        if begin < stop and all(stop <= b or begin >= x for b, x, _ in result):
            result.append((begin, stop, float(torch.tensor(score).exp())))
        if len(result) == keep:
            break
    return result

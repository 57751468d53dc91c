"""Who may look at whom in packed rows, and the fastest way to compute it on this device.

    documents [batch, time] ─► packed() ─┬─► Pieces     CPU: each document on its own, no table of pairs at all
                                         ├─► BlockMask  GPU: FlexAttention skips blocks of 128 x 128 that no pair needs
                                         └─► Tensor     anywhere: a table of allowed pairs for PyTorch's fused attention

Takes   the number of the document each token of a row belongs to, and how much of each is read in full.
Gives   a mask for `model.Transformer`; all three kinds let the same pairs through, so results agree within rounding.
Why pieces: on CPUs the backward pass of fused attention takes two to three times as long as products spelled out, and
        most pairs of a packed row are forbidden. Blocks of queries keep a block's scores in the processor's cache.
Source  FlexAttention: Dong et al., arXiv:2412.05496. Softmax's backward pass: Dao et al., arXiv:2205.14135, appendix B.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from torch.nn.functional import pad

from trainer.errors import RecipeError

FAR = 2**30  # no document has this number
BLOCK = 128  # tokens: queries computed at once, and the side of a block mask's blocks


class Block(NamedTuple):
    """Queries [first, last) and keys [start, reach) of a flattened batch; the first `open` keys are seen by all."""

    start: int
    first: int
    last: int
    reach: int
    open: int


@dataclass(frozen=True)
class Pieces:
    """Stretches of a flattened batch that see only themselves; the first `open` tokens of each are read both ways.

    open 0 is causal reading, open == end - start full reading, between them a prompt with its answer.
    """

    bounds: tuple[tuple[int, int, int], ...]  # (start, end, open)

    def blocks(self) -> Iterator[Block]:
        """Queries, at most BLOCK of them, with all the keys that any of them sees."""
        for start, end, opened in self.bounds:
            for first in range(start, end, BLOCK):
                last = min(first + BLOCK, end)
                yield Block(start, first, last, max(last, start + opened), opened)


Mask = Tensor | Pieces | BlockMask


def packed(documents: Tensor, *, causal: bool, prefix: Tensor | None = None, how: str = "auto") -> Mask:
    """The mask of packed rows. documents: [batch, time]; prefix: [batch], tokens at the row's start read in full.

    how: "pieces", "blocks", "table", or "auto" for the fastest that this device can compute.
    """
    if how == "auto":
        how = ("blocks" if compiles() else "table") if documents.is_cuda else "pieces"
    if how == "pieces":
        return pieces(documents, causal=causal, prefix=prefix)
    if how == "blocks":
        return blocks(documents, causal=causal, prefix=prefix)
    if how == "table":
        return allowed_pairs(documents, causal=causal, prefix=prefix)
    raise RecipeError(f"attention is {how!r}; use 'auto', 'pieces', 'blocks' or 'table'")


@cache
def compiles() -> bool:
    """Whether this GPU and installation can compile FlexAttention: Triton, and an Ampere chip or newer."""
    return find_spec("triton") is not None and torch.cuda.get_device_capability() >= (8, 0)


def allowed_pairs(documents: Tensor, *, causal: bool, prefix: Tensor | None = None) -> Tensor:
    """Which token may look at which: [batch, 1, time, time] bool, queries by keys.

    documents: [batch, time], the number of the document a token belongs to; nobody sees another document's tokens.
    prefix: [batch], tokens of the prompt at the row's start: all may look at those, after them everybody looks back.
    Positions go on over document borders: rotary positions count differences, so a document reads the same anywhere.
    """
    allowed = documents[:, :, None] == documents[:, None, :]  # [batch, time, time]
    if causal or prefix is not None:
        at = torch.arange(documents.shape[1], device=documents.device)  # [time]
        order = at[:, None] >= at[None, :]  # [time, time]
        if prefix is not None:
            order = order | (at[None, None, :] < prefix[:, None, None])  # [batch, time, time]
        allowed = allowed & order
    return allowed[:, None]


def pieces(documents: Tensor, *, causal: bool, prefix: Tensor | None = None) -> Pieces:
    """Runs of equal numbers as pieces: a document stands together, as packing leaves it. Padding (-1) is in none."""
    batch, time = documents.shape
    border = torch.ones(batch, time, dtype=torch.bool)
    border[:, 1:] = documents[:, 1:] != documents[:, :-1]
    starts = border.flatten().nonzero().flatten().tolist()
    padding = (documents.flatten()[starts] < 0).tolist()
    bounds = []
    for start, end, empty in zip(starts, [*starts[1:], batch * time], padding, strict=True):
        if empty:
            continue
        row, column = divmod(start, time)
        if prefix is not None:
            opened = min(max(int(prefix[row]) - column, 0), end - start)
        else:
            opened = 0 if causal else end - start
        bounds.append((start, end, opened))
    return Pieces(tuple(bounds))


def blocks(documents: Tensor, *, causal: bool, prefix: Tensor | None = None) -> BlockMask:
    """A FlexAttention mask made from each block's least and greatest document: no table of pairs, no wait for the GPU.

    A block of pairs is skipped where the documents of its queries and keys cannot meet, and needs no test inside where
    both hold the same single document (and no key comes later, where order counts).
    """
    batch, time = documents.shape
    count = -(-time // BLOCK)  # blocks in a row
    rest = (0, count * BLOCK - time)  # the last block's missing tokens change neither its least nor its greatest
    least = pad(documents, rest, value=FAR).view(batch, count, BLOCK).amin(-1)  # [batch, blocks]
    most = pad(documents, rest, value=-FAR).view(batch, count, BLOCK).amax(-1)  # [batch, blocks]
    some = (least[:, :, None] <= most[:, None, :]) & (least[:, None, :] <= most[:, :, None])  # [batch, blocks, blocks]
    every = (least[:, :, None] == most[:, None, :]) & (most[:, :, None] == least[:, None, :])
    at = torch.arange(count, device=documents.device)  # [blocks]
    if causal or prefix is not None:
        earlier, same = at[:, None] > at[None, :], at[:, None] == at[None, :]  # [blocks, blocks]
        reached, whole = earlier | same, earlier
        if prefix is not None:
            reached = reached | (at * BLOCK < prefix[:, None])[:, None, :]  # [batch, blocks, blocks]
            whole = whole | ((at + 1) * BLOCK <= prefix[:, None])[:, None, :]
        some, every = some & reached, every & whole
    every = every & some
    return BlockMask.from_kv_blocks(
        *listed(some & ~every),
        *listed(every),
        BLOCK_SIZE=BLOCK,
        mask_mod=rule(documents, causal=causal, prefix=prefix),
        seq_lengths=(time, time),
    )


def listed(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """How many key blocks each block of queries has, and which: [batch, 1, blocks], [batch, 1, blocks, blocks]."""
    order = chosen.to(torch.int32).argsort(dim=-1, descending=True, stable=True)
    return chosen.sum(-1, dtype=torch.int32)[:, None], order.to(torch.int32)[:, None].contiguous()


def rule(documents: Tensor, *, causal: bool, prefix: Tensor | None) -> Any:
    """The test inside a block, for one pair: what `allowed_pairs` says."""
    if prefix is not None:

        def prompted(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:  # noqa: ARG001 (flex's signature)
            return (documents[b, q] == documents[b, k]) & ((q >= k) | (k < prefix[b]))

        return prompted
    if causal:

        def backwards(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:  # noqa: ARG001
            return (documents[b, q] == documents[b, k]) & (q >= k)

        return backwards

    def inside(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:  # noqa: ARG001
        return documents[b, q] == documents[b, k]

    return inside


@cache
def compiled_flex() -> Any:
    """FlexAttention as one kernel, for models that are not compiled themselves."""
    return torch.compile(flex_attention, dynamic=False)


def flex(query: Tensor, key: Tensor, value: Tensor, mask: BlockMask) -> Tensor:
    """Attention of [batch, heads, time, size] under a block mask; scaled beforehand, fewer heads of keys are shared."""
    compute = compiled_flex() if query.is_cuda and not torch.compiler.is_compiling() else flex_attention
    result: Tensor = compute(query, key, value, block_mask=mask, scale=1.0, enable_gqa=query.shape[1] != key.shape[1])
    return result


class PieceAttention(torch.autograd.Function):
    """Attention of each piece with itself, spelled out; queries are scaled beforehand."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, pieces: Pieces) -> Tensor:
        """query: [tokens, heads, size]; key, value: [tokens, kv heads, size]; gives the shape of query."""
        out, kept = torch.zeros_like(query), []
        for block in pieces.blocks():
            k, v = (x[block.start : block.reach].transpose(0, 1) for x in (key, value))  # [kv heads, keys, size]
            q = grouped(query[block.first : block.last], k.shape[0])  # [kv heads, group * queries, size]
            scores = torch.bmm(q, k.transpose(1, 2))  # [kv heads, group * queries, keys]
            hide_later(scores, block)
            chances = scores.softmax(-1)
            kept.append(chances)
            ungrouped(torch.bmm(chances, v), out[block.first : block.last])
        ctx.pieces = pieces
        ctx.save_for_backward(query, key, value, *kept)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients of query, key and value."""
        query, key, value, *kept = ctx.saved_tensors
        to_query, to_key, to_value = torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(value)
        for block, chances in zip(ctx.pieces.blocks(), kept, strict=True):
            seen = slice(block.start, block.reach)
            k, v = key[seen].transpose(0, 1), value[seen].transpose(0, 1)  # [kv heads, keys, size]
            q = grouped(query[block.first : block.last], k.shape[0])  # [kv heads, group * queries, size]
            gradient = grouped(grads[0][block.first : block.last], k.shape[0])
            to_chances = torch.bmm(gradient, v.transpose(1, 2))  # [kv heads, group * queries, keys]
            to_scores = torch._softmax_backward_data(to_chances, chances, -1, chances.dtype)
            ungrouped(torch.bmm(to_scores, k), to_query[block.first : block.last])
            to_key[seen].transpose(0, 1).add_(torch.bmm(to_scores.transpose(1, 2), q))
            to_value[seen].transpose(0, 1).add_(torch.bmm(chances.transpose(1, 2), gradient))
        return to_query, to_key, to_value, None


def hide_later(scores: Tensor, block: Block) -> None:
    """Forbid keys that come after their query and are not read in full. scores: [kv heads, group * queries, keys]."""
    low = max(block.first, block.start + block.open)  # the first key that some query of the block may not see
    if low >= block.last:
        return
    queries, keys = block.last - block.first, block.reach - block.start
    later = above_diagonal()[:queries, low - block.first : queries]
    scores.view(scores.shape[0], -1, queries, keys)[..., low - block.start :].masked_fill_(later, float("-inf"))


@cache
def above_diagonal() -> Tensor:
    """[BLOCK, BLOCK], true where the column is greater than the row."""
    return torch.ones(BLOCK, BLOCK, dtype=torch.bool).triu(1)


def grouped(x: Tensor, shared: int) -> Tensor:
    """[queries, heads, size] to [shared, heads / shared * queries, size]: the heads that use the same keys together."""
    queries, heads, size = x.shape
    return x.view(queries, shared, heads // shared, size).permute(1, 2, 0, 3).reshape(shared, -1, size)


def ungrouped(x: Tensor, out: Tensor) -> None:
    """Write [shared, group * queries, size] into [queries, heads, size]."""
    queries, heads, size = out.shape
    shared = x.shape[0]
    out.view(queries, shared, heads // shared, size).copy_(
        x.view(shared, heads // shared, queries, size).permute(2, 0, 1, 3)
    )

"""Pages become one clean text with page spans; copies are recognised, exact and near.

    pages ─► characters ─► running headers ─► hyphens ─► Draft: text, page spans, what was not read

Takes   the `Page`s of one file, in order.
Gives   a `Draft`. Whatever changes characters happens here, before offsets exist: NFC, no control characters, no
        surrogates, plain spaces, words joined again that were divided at a line's end. Page spans tile the text: every
        character belongs to one page, the blank line between two pages to the first.
Near    passages share a group when their words agree (MinHash) and their facts are the same: the numbers and the
        negations in them, in order. "15 days" and "20 days" are never copies, however alike the rest.
Source  MinHash: Broder 1997, doi:10.1109/SEQUEN.1997.666900.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from rag import language
from rag.errors import need
from rag.types import Draft, Page, PageSpan

_LINE_ENDS = re.compile("\r\n|[\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
_DROPPED = (
    re.compile(  # control characters, soft hyphen, invisible marks, surrogates, non-characters, private "replacement"
        "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
        "\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
    )
)
_SPACES = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_LIGATURES = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"}
)
_PRESENTED = re.compile("[\ufb1d-\ufdff\ufe70-\ufefc]+")  # shapes of Hebrew and Arabic letters, drawn one by one
_BULLET = re.compile(r"^(\s*)(?:- +)?[•◦▪▫‣⁃●○■□◆◇➢➤✓✔\uf0b7\uf0a7\uf0d8] *", re.MULTILINE)
_CODE = re.compile(r" {4,}(?!\s*(?:- |\d+\. ))")
_RUN_OF_SPACES = re.compile(r"(?<=\S)[ \t]{2,}|\t")
_BLANK_LINES = re.compile(r"\n{3,}")
_DIVIDED = re.compile(r"([^\W\d_]{2,})-\n[ \t]*([^\W\d_]{2,})")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_KEPT_HYPHEN = frozenset(
    "self non well long short cross high low full part third first second year mid anti multi".split()
)

_EDGE_LINES = 4  # at the top and at the bottom of a page, where running lines stand
_SHARE = 0.3  # of the pages: odd and even pages often differ
_HEADING_SHARE = 0.6
_FEWEST_PAGES = 3
_SENTENCE = re.compile(r"(?:\S+ ){7}.*[.!?]$")  # of eight words or more
_NOTE_PAGE = re.compile(r"(?:page|slide) (\d+): (.*)", re.DOTALL)


def draft(pages: Iterable[Page], *, title: str) -> Draft:
    """Clean the pages of one file. A first line `# ...` names the document; else `title` does."""
    read = list(pages)
    texts = _without_running_lines([tidy(page.text) for page in read], [page.number for page in read])
    texts = _undivided(texts)
    spans: list[PageSpan] = []
    pieces: list[str] = []
    at = 0
    for page, text in zip(read, texts, strict=True):
        if not text and page.number is None:
            continue
        if text and pieces:  # the blank line between two pages belongs to the page above it
            pieces.append("\n\n")
            at += 2
        if spans:
            spans[-1] = spans[-1]._replace(end=at)
        spans.append(PageSpan(page.number, at, at + len(text), page.at))
        pieces.append(text)
        at += len(text)
    whole = "".join(pieces)
    first = whole.split("\n", 1)[0]
    return Draft(
        title=first[2:].strip()
        if first.startswith("# ") and first[2:].strip()
        else tidy(title).replace("\n", " ").strip(),
        text=whole,
        pages=tuple(spans),
        pages_without_text=tuple(
            p.number for p, text in zip(read, texts, strict=True) if not text and p.number is not None
        ),
        ocr_pages=tuple(
            p.number for p, text in zip(read, texts, strict=True) if text and p.ocr and p.number is not None
        ),
        notes=(*_notes(read), *language.noted(whole)),
    )


def tidy(text: str) -> str:
    """The characters of one page, cleaned; the result is stable: tidying it again changes nothing."""
    before = None
    while before != text:  # removing one character can bring two others together; two rounds are usual
        before, text = text, _tidied(text)
    return text


def _tidied(text: str) -> str:
    text = _DROPPED.sub("", _LINE_ENDS.sub("\n", text))
    text = _SPACES.sub(" ", text).translate(_LIGATURES)
    text = _PRESENTED.sub(lambda shapes: unicodedata.normalize("NFKC", shapes[0]), text)
    text = unicodedata.normalize("NFC", text)
    text = _BULLET.sub(r"\1- ", text)
    lines = (_line(line) for line in text.split("\n"))
    text = _BLANK_LINES.sub("\n\n", "\n".join("" if line in ("-", "#") else line for line in lines))
    return text.strip("\n")


def _line(line: str) -> str:
    line = line.rstrip()
    if "\t" in line:
        body = line.lstrip(" \t")
        line = line[: len(line) - len(body)].expandtabs(4) + body
    if ("  " in line or "\t" in line) and not _CODE.match(line):
        line = _RUN_OF_SPACES.sub(" ", line)
    return line


def _without_running_lines(texts: list[str], numbers: Sequence[int | None]) -> list[str]:
    """Lines that return at the edge of many pages, page numbers apart, are furniture."""
    paged = [index for index, number in enumerate(numbers) if number is not None and texts[index]]
    if len(paged) < _FEWEST_PAGES:
        return texts
    lines = {index: texts[index].split("\n") for index in paged}
    counts: Counter[tuple[str, str]] = Counter()
    for index in paged:
        filled = [line for line in lines[index] if line.strip()]
        for edge, part in (("top", filled[:_EDGE_LINES]), ("bottom", filled[-_EDGE_LINES:])):
            counts.update({(edge, _masked(line)) for line in part})

    kept_once: set[str] = set()

    def running(edge: str, line: str) -> bool:
        share = _HEADING_SHARE if line.startswith("#") else _SHARE
        if counts[edge, _masked(line)] < max(_FEWEST_PAGES, share * len(paged)):
            return False
        if _SENTENCE.search(line) and line not in kept_once:  # a notice on every page: said once
            kept_once.add(line)
            return False
        return True

    cleaned = list(texts)
    for index in paged:
        kept = lines[index]
        start, end = 0, len(kept)
        while start < end and (not kept[start].strip() or running("top", kept[start])):
            start += 1
        while end > start and (not kept[end - 1].strip() or running("bottom", kept[end - 1])):
            end -= 1
        if start < end:  # a page of nothing but furniture keeps it: it may be a form
            cleaned[index] = "\n".join(kept[start:end])
    return cleaned


def _masked(line: str) -> str:
    return re.sub(r"\d+|\b[ivxlc]+\b", "0", line.strip().casefold())


def _undivided(texts: list[str]) -> list[str]:
    """Words divided at a line's end are joined: without the hyphen, unless the document writes that word with one."""
    if not any(_DIVIDED.search(text) for text in texts):
        return texts
    known = Counter(word for text in texts for word in _WORD.findall(text.casefold()))
    divided = [match for text in texts for match in _DIVIDED.finditer(text)]
    whole = sum(known[f"{match[1]}{match[2]}".casefold()] > 0 for match in divided)
    hyphenated = sum(known[f"{match[1]}-{match[2]}".casefold()] > 0 for match in divided)

    def joined(match: re.Match[str]) -> str:
        left, right = match[1], match[2]
        together, apart = known[f"{left}{right}".casefold()], known[f"{left}-{right}".casefold()]
        if together != apart:
            keeps = apart > together
        else:  # a rare word: does this document divide words at all, or only break its lines after hyphens?
            keeps = left.casefold() in _KEPT_HYPHEN or (
                whole <= hyphenated and known[left.casefold()] > 0 < known[right.casefold()]
            )
        return f"{left}-{right}" if keeps or not right[0].islower() else left + right

    return [_DIVIDED.sub(joined, text) for text in texts]


def _notes(pages: Sequence[Page]) -> tuple[str, ...]:
    """One line each; what several pages share is said once."""
    found: dict[str, list[int]] = defaultdict(list)
    for page in pages:
        if page.note:
            match = _NOTE_PAGE.match(page.note)
            found[match[2] if match else page.note].extend([int(match[1])] if match else [])
    return tuple(f"page{'s' * (len(n) > 1)} {_ranges(n)}: {note}" if n else note for note, n in found.items())


def _ranges(numbers: Sequence[int]) -> str:
    """3, 5-9"""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(str(number) for number in part) for part in parts)


# --- copies -----------------------------------------------------------------------------------------------------------

_BANDS, _ROWS, _SEED = (
    6,
    10,
    2026,
)  # texts that share 90% of their word triples meet with probability .93, 70% .16, 50% .006
_WORDS = re.compile(r"\w+")
_FACTS = re.compile(
    r"\d+(?:[.,:/]\d+)*%?|\b(?:not|no|never|none|nor|neither|without|except|unless|cannot|nothing|nobody|prohibited)\b|n['’]t\b"
)


def sha256(data: bytes) -> str:
    """The fingerprint of exact copies, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def near_keys(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """For each text its keys: texts that share one are near copies. They depend on the text alone: store them."""
    if not texts:
        return []
    rensa = need("rensa", extra="formats", task="Finding near copies")
    triples: list[list[str]] = []
    facts: list[bytes] = []
    for text in texts:
        folded = text.casefold()
        words = _WORDS.findall(folded)
        triples.append(
            [f"{a} {b} {c}" for a, b, c in zip(words, words[1:], words[2:], strict=False)] or [" ".join(words)]
        )
        facts.append(hashlib.blake2b("\0".join(_FACTS.findall(folded)).encode(), digest_size=8).digest())
    digests = rensa.RMinHash.digests_from_token_sets(triples, _BANDS * _ROWS, _SEED)
    values = np.asarray(digests, dtype="<u4").reshape(len(texts), _BANDS, _ROWS)
    return [
        tuple(
            hashlib.blake2b(fact + bytes([n]) + band.tobytes(), digest_size=10).hexdigest()
            for n, band in enumerate(bands)
        )
        for fact, bands in zip(facts, values, strict=True)
    ]


def groups(texts: Sequence[str]) -> list[int]:
    """For each text the index of the first text of its group of near copies: its own where it copies none before it."""
    first: dict[str, int] = {}
    found: list[int] = []
    for number, keys in enumerate(near_keys(texts)):
        group = min((first[key] for key in keys if key in first), default=number)
        found.append(group)
        for key in keys:
            first.setdefault(key, group)
    return found

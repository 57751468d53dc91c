"""The addresses that a sitemap lists, as sitemaps.org describes it.

Takes   the bytes of a sitemap or of an index of sitemaps, also packed by gzip.
Gives   whether it is an index, and the addresses, each once, in their order.
Refuses what is no sitemap, declares entities, or unpacks to more than BYTES (LoadError).
"""

from __future__ import annotations

import zlib

from rag.errors import LoadError, need
from rag.load import limits

BYTES = 50_000_000
_GZIP = b"\x1f\x8b"


def looks_like(body: bytes, kind: str) -> bool:
    """Whether this may be a sitemap: XML or gzip, by its type or its first bytes."""
    return body.startswith(_GZIP) or (kind.endswith("xml") and "xhtml" not in kind and b"<html" not in body[:2000])


def read(name: str, body: bytes) -> tuple[bool, list[str]]:
    """(it is an index, its addresses)."""
    etree = need("defusedxml.ElementTree", extra="formats", task="Reading a sitemap")
    if body.startswith(_GZIP):
        body = _unpacked(name, body)
    limits.check_xml(name, body[:1_000_000])
    try:
        root = etree.fromstring(body)
    except (etree.ParseError, ValueError) as error:  # defusedxml's own refusals are ValueErrors
        raise LoadError(f"{name}: no sitemap ({error}); name a page or another sitemap") from error
    kind = root.tag.rpartition("}")[2]
    if kind not in ("urlset", "sitemapindex"):
        raise LoadError(f"{name}: no sitemap but <{kind}>; name a page, or save the file and add it")
    found = [
        "".join((part.text or "").split()) for entry in root for part in entry if part.tag.rpartition("}")[2] == "loc"
    ]
    return kind == "sitemapindex", [address for address in dict.fromkeys(found) if address]


def _unpacked(name: str, body: bytes) -> bytes:
    unpack = zlib.decompressobj(wbits=31)
    try:
        data = unpack.decompress(body, BYTES)
    except zlib.error as error:
        raise LoadError(f"{name}: damaged gzip ({error}); try again later") from error
    if unpack.unconsumed_tail:
        raise LoadError(f"{name}: unpacks to more than {BYTES:,} bytes, which no sitemap may; name a smaller one")
    return data

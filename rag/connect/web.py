"""A web page, or the pages that a sitemap lists.

Takes   an http or https address.
Gives   each page, asked for on condition that it has changed (ETag, Last-Modified). A sitemap's pages on other hosts,
        of formats that nothing reads and beyond `pages` are told, not fetched.
Identity: the site is the source, the path of the address the path; a page added by itself and the same page from a
        sitemap are one document, which goes only when none of the two has it any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from rag.connect import sitemap
from rag.connect.client import PORTS, Client, Reply
from rag.connect.network import Network, Resolve, resolve
from rag.connect.source import Brought, Event, Gone, Kept, Missing, Options, staged
from rag.errors import LoadError, SettingsError
from rag.load import READERS

if TYPE_CHECKING:
    import ssl

SITEMAPS = 200  # that one index may lead to
BYTES = 2_000_000_000  # of all pages of one run
KINDS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/xml": ".xml",
    "application/xml": ".xml",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/rtf": ".rtf",
    "application/epub+zip": ".epub",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.presentation": ".odp",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/tiff": ".tiff",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
}


class Web:
    """See the module. `resolve` and `trust` are for networks with name servers and certificates of their own."""

    alone = False

    def __init__(
        self, address: str, options: Options, *, resolve: Resolve = resolve, trust: ssl.SSLContext | None = None
    ) -> None:
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError as error:
            raise SettingsError(f"{address}: no address of a page ({error})") from error
        if not parts.hostname or parts.username or parts.password:
            raise SettingsError(f"{address[:200]}: write https://host/path, without a name and a password")
        usual = port is None or port == PORTS[parts.scheme]
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.source = f"{parts.scheme}://{host}{'' if usual else f':{port}'}"
        self.address = address.partition("#")[0]
        self.options = options
        self._host = parts.hostname
        self._resolve = resolve
        self._trust = trust
        self._number = 0
        self._bytes = 0

    def bring(self, known: Mapping[str, str], into: Path) -> Iterator[Event]:
        """The page, or every page of the sitemap."""
        other = self._host.removeprefix("www.") if self._host.startswith("www.") else f"www.{self._host}"
        hosts = frozenset({self._host, other, *(host.lower() for host in self.options.hosts)})
        network = Network(allow_private=self.options.allow_private, resolve=self._resolve)
        client = Client(hosts, network, pause_s=self.options.pause_s, trust=self._trust)
        try:
            first = self._get(client, self.address, known)
            if first.status == 200 and sitemap.looks_like(first.body, first.kind):
                yield from self._pages(client, first, known, into)
            else:
                yield from self._page(first, self._path(self.address), into)
        finally:
            client.close()

    def _pages(self, client: Client, first: Reply, known: Mapping[str, str], into: Path) -> Iterator[Event]:
        """A page that cannot be had is told; the others come."""
        addresses = [address for address in self._listed(client, first) if self.options.wanted(self._path(address))]
        if not addresses:
            raise LoadError(f"{self.address}: lists no page that is asked for; its documents stay")
        for address in addresses[: self.options.pages]:
            path = self._path(address)
            try:
                reply = self._get(client, address, known)
            except LoadError as error:
                yield Missing(path, str(error))
                continue
            yield from self._page(reply, path, into)
        for address in addresses[self.options.pages :]:
            reason = f"{address}: not fetched, {self.options.pages} pages are the limit; --pages sets another"
            yield Missing(self._path(address), reason)

    def _listed(self, client: Client, first: Reply) -> list[str]:
        """Addresses of pages, of all sitemaps that an index names. One that cannot be had fails the run."""
        is_index, addresses = sitemap.read(self.address, first.body)
        if not is_index:
            return addresses
        if len(addresses) > SITEMAPS:
            raise LoadError(
                f"{self.address}: names {len(addresses)} sitemaps, the limit is {SITEMAPS}; name one of them"
            )
        pages: list[str] = []
        for address in addresses:
            reply = client.get(address)
            if reply.status != 200:
                raise LoadError(f"{address}: a sitemap that is not there; try again later")
            nested, more = sitemap.read(address, reply.body)
            if nested:
                raise LoadError(f"{address}: an index inside an index, which sitemaps may not have; name one of them")
            pages += more
        return list(dict.fromkeys(pages))

    def _get(self, client: Client, address: str, known: Mapping[str, str]) -> Reply:
        try:
            tag, modified = json.loads(known[self._path(address)])
        except KeyError:
            tag = modified = ""
        return client.get(address, tag=tag, modified=modified)

    def _page(self, reply: Reply, path: str, into: Path) -> Iterator[Event]:
        if reply.status == 304:
            yield Kept(path)
            return
        if reply.status in (404, 410):
            yield Gone(path, f"{reply.url}: not there any more ({reply.status}); --sync removes what vanished")
            return
        self._bytes += len(reply.body)
        suffix = _suffix(reply)
        if self._bytes > BYTES:
            yield Missing(
                path, f"{reply.url}: not taken, {BYTES:,} bytes are the limit of one run; add the rest by itself"
            )
        elif suffix is None:
            yield Missing(
                path, f"{reply.url}: no reader for {reply.kind or 'what has no type'}; save it in another format"
            )
        else:
            self._number += 1
            file = staged(into, self._number, path, suffix)
            file.write_bytes(_in_utf8(reply) if suffix in (".html", ".txt", ".md", ".csv") else reply.body)
            yield Brought(path, file, json.dumps([reply.tag, reply.modified]))

    def _path(self, address: str) -> str:
        """`https://host/team/?page=2` is `team/index.html?page=2`; of another host its name stands in front."""
        parts = urlsplit(address)
        path = unquote(parts.path).lstrip("/").replace("\0", "")
        if not path or path.endswith("/"):
            path += "index.html"
        same = (parts.hostname or "").removeprefix("www.") == self._host.removeprefix("www.")
        path = path if same else f"{parts.hostname}/{path}"
        return path + (f"?{parts.query}" if parts.query else "")


def _suffix(reply: Reply) -> str | None:
    """By what the server says it is; where that is general, by the address."""
    named = PurePosixPath(unquote(urlsplit(reply.url).path)).suffix.lower()
    if reply.kind in KINDS and not (reply.kind == "text/plain" and named in READERS):
        return KINDS[reply.kind]
    general = reply.kind in ("", "text/plain", "application/octet-stream", "binary/octet-stream")
    return named if general and named in READERS else None


def _in_utf8(reply: Reply) -> bytes:
    """Text whose encoding only the server names keeps it when it becomes a file."""
    if reply.charset is None or reply.charset.lower().replace("-", "") in ("utf8", "usascii"):
        return reply.body
    try:
        return reply.body.decode(reply.charset).encode("utf-8-sig")
    except (LookupError, UnicodeDecodeError):
        return reply.body  # wrongly named: the reader finds out by itself

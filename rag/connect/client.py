"""Asking the web for one thing: bounded, polite, and never anywhere that was not meant.

Takes   a URL, and what the server called it when it came last.
Gives   `Reply`: the bytes, their type and the names of this version; or that it is unchanged (304) or gone (404, 410).
        Redirects are followed here, one by one, and each is checked like the first address: host, robots.txt, network.
Refuses with LoadError: other hosts than the named ones, what robots.txt forbids, private addresses (network.py), more
        than PAGE_BYTES (counted after unpacking), more than PAGE_S, more than REDIRECTS.
Sends   no cookie, no password, no referrer, nothing of the library; proxies of the environment are not used, since they
        would resolve the name again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

from rag.connect import robots
from rag.connect.network import Network
from rag.connect.robots import Robots
from rag.errors import LoadError

if TYPE_CHECKING:
    import ssl

    import httpx

AGENT = f"{robots.NAME}/1.0 (reads pages that a person has named)"
PAGE_BYTES = 50_000_000
PAGE_S = 120.0  # for one page, however slowly it trickles
QUIET_S = 20.0  # without a byte
REDIRECTS = 5
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Reply:
    """What a server said."""

    url: str  # after redirects
    status: int  # 200, 304, 404 or 410
    body: bytes = b""
    kind: str = ""  # media type, in small letters
    charset: str | None = None
    tag: str = ""  # ETag
    modified: str = ""  # Last-Modified


class Client:
    """One visit to one or more hosts. Close it."""

    def __init__(
        self, hosts: frozenset[str], network: Network, *, pause_s: float, trust: ssl.SSLContext | None = None
    ) -> None:
        self._hosts = hosts
        self._network = network
        self._pause_s = pause_s
        self._trust = trust
        self._clients: dict[str, httpx.Client] = {}  # one for each origin: connections are not shared between names
        self._robots: dict[str, Robots] = {}
        self._asked: dict[str, float] = {}  # origin to when it was asked last

    def get(self, url: str, *, tag: str = "", modified: str = "") -> Reply:
        """One page. Raises LoadError for everything but 200, 304, 404 and 410."""
        told = {"If-None-Match": tag, "If-Modified-Since": modified}
        for _ in range(REDIRECTS + 1):
            url = self._checked(url)
            rules = self._rules(url)
            path = url.partition("://")[2].partition("/")[2]
            if not rules.allows(f"/{path}"):
                raise LoadError(f"{url}: its robots.txt asks programs to stay away; ask whoever runs the site")
            reply = self._ask(url, {name: value for name, value in told.items() if value}, rules.pause_s)
            if isinstance(reply, Reply):
                return reply
            url = _next(url, reply)
        raise LoadError(f"{url}: more than {REDIRECTS} redirects; open it in a browser and name the page it ends at")

    def close(self) -> None:
        """Let go of the connections."""
        for client in self._clients.values():
            client.close()

    def _checked(self, url: str) -> str:
        """The URL without its fragment, if it may be asked for."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise LoadError(f"{url[:200]}: only http and https addresses are opened")
        if parts.username or parts.password:
            raise LoadError(f"{parts.hostname}: no names and passwords in addresses; save the page and add the file")
        if parts.hostname not in self._hosts:
            raise LoadError(f"{url[:200]}: lies on another host; if you mean it, add --host {parts.hostname}")
        return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path or "/", parts.query, ""))

    def _rules(self, url: str) -> Robots:
        """The robots.txt of the URL's host, asked for once. None there: all is allowed; a failing server: nothing."""
        origin = _origin(url)
        if origin not in self._robots:
            self._robots[origin] = self._read_rules(f"{origin}/robots.txt")
        return self._robots[origin]

    def _read_rules(self, url: str) -> Robots:
        for _ in range(REDIRECTS + 1):
            reply = self._ask(self._checked(url), {}, 0.0, rules=True)
            if isinstance(reply, Reply):
                if reply.status == 200:
                    return robots.read(reply.body[: robots.LONGEST].decode("utf-8", "replace"))
                return Robots(closed=reply.status >= 500 or reply.status == 429)
            url = _next(url, reply)
        return Robots()

    def _ask(self, url: str, told: dict[str, str], pause_s: float, *, rules: bool = False) -> Reply | str:
        """One request to one checked address; a redirect is returned as where it leads."""
        import httpx

        origin, parts = _origin(url), urlsplit(url)
        host = parts.hostname or ""
        address = self._network.address(host, parts.port or PORTS[parts.scheme])
        self._rest(origin, pause_s)
        client = self._clients.get(origin) or self._clients.setdefault(origin, self._open(parts.scheme))
        headers = {"Host": parts.netloc, "User-Agent": AGENT, "Accept-Encoding": "gzip, deflate", **told}
        try:
            with client.stream(
                "GET", httpx.URL(url).copy_with(host=address), headers=headers, extensions={"sni_hostname": host}
            ) as response:
                if response.has_redirect_location:
                    return response.headers["location"]
                status = response.status_code
                if rules and status != 200:
                    return Reply(url, status)
                if status not in (200, 304, 404, 410):
                    raise LoadError(f"{url}: the server answered {status} {response.reason_phrase}; try again later")
                return Reply(
                    url, status, _body(url, response) if status == 200 else b"",
                    response.headers.get("content-type", "").partition(";")[0].strip().lower(),
                    response.charset_encoding, response.headers.get("etag", ""),
                    response.headers.get("last-modified", ""),
                )  # fmt: skip
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise LoadError(f"{url}: could not be had ({reason}); check the address and the network") from error

    def _open(self, scheme: str) -> httpx.Client:
        import httpx

        if scheme == "https":
            trust: ssl.SSLContext | bool = self._trust or True
        else:
            trust = False  # nothing is encrypted: the system's certificates need not be loaded
        return httpx.Client(trust_env=False, follow_redirects=False, timeout=QUIET_S, verify=trust)

    def _rest(self, origin: str, pause_s: float) -> None:
        """A pause between two requests to one host."""
        due = self._asked.get(origin, 0.0) + max(self._pause_s, pause_s)
        if origin in self._asked and due > time.monotonic():
            time.sleep(due - time.monotonic())
        self._asked[origin] = time.monotonic()


def _body(url: str, response: httpx.Response) -> bytes:
    """The unpacked bytes, as long as they stay within bounds."""
    deadline = time.monotonic() + PAGE_S
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > PAGE_BYTES:
            raise LoadError(f"{url}: more than {PAGE_BYTES:,} bytes; save it and add the file")
        if time.monotonic() > deadline:
            raise LoadError(f"{url}: not finished after {PAGE_S:g} s; try again later, or save it and add the file")
        pieces.append(piece)
    return b"".join(pieces)


def _next(url: str, location: str) -> str:
    """Where a redirect leads; from https never to http, where anybody on the way could answer."""
    leads = urljoin(url, location)
    if url.startswith("https:") and leads.startswith("http:"):
        raise LoadError(f"{url}: redirects to {leads[:200]}, which is not encrypted; name that page if you mean it")
    return leads


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

"""Pages and sitemaps, taken from a real server on this machine; only the names of its hosts are made up."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rag.connect import client as client_module
from rag.connect import robots, sitemap
from rag.connect.network import Network
from rag.connect.source import Options
from rag.connect.taking import take_from
from rag.connect.web import Web
from rag.errors import LoadError, SettingsError
from rag.library import Library
from rag.types import FileReport
from tests.miniature import small_library

NAME = "handbook.test"  # no name server knows it: only the address that was checked can be connected to
LEAVE = "# Leave\n\nEverybody has 27 days of leave.\n"  # as Markdown: reading it needs no child process
HOTELS = "# Hotels\n\nThe limit is 140 euros a night.\n"
PAGE = "<html><title>Leave</title><body><nav>Home</nav><p>Everybody has 27 days of leave.</p></body></html>"


@dataclass
class Site:
    """What a server answers, and what it was asked."""

    pages: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)  # path, status
    headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    def put(self, path: str, body: str | bytes, kind: str = "text/markdown; charset=utf-8", **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else body
        tag = '"' + hashlib.sha256(data).hexdigest()[:12] + '"'
        self.pages[path] = (200, {"Content-Type": kind, "ETag": tag, **headers}, data)

    def answer(self, path: str, status: int, **headers: str) -> None:
        self.pages[path] = (status, headers, b"")

    def sitemap(self, *paths: str) -> None:
        rows = "".join(f"<url><loc>{self.url(path)}</loc></url>" for path in paths)
        self.put("/sitemap.xml", f"<?xml version='1.0'?><urlset xmlns='x'>{rows}</urlset>", "application/xml")

    def url(self, path: str, name: str = NAME, scheme: str = "http") -> str:
        return f"{scheme}://{name}:{self.port}{path}"

    def statuses(self, path: str) -> list[int]:
        return [status for asked, status in self.asked if asked == path]


def served(site: Site, trust: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = site.pages.get(self.path, (404, {}, b""))
            if status == 200 and headers.get("ETag") and self.headers.get("If-None-Match") == headers["ETag"]:
                status, body = 304, b""
            site.asked.append((self.path, status))
            site.headers.append(dict(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """A test's output is its own."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if trust:
        server.socket = trust.wrap_socket(server.socket, server_side=True)
    site.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    server = served(site)
    yield site
    server.shutdown()
    server.server_close()


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setattr("rag.ingest._workers", lambda waiting: 0)  # files are read in this process: no child to start
    with small_library(tmp_path / "index") as library:
        yield library


def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def take(library: Library, address: str, *, sync: bool = False, **options: Any) -> list[FileReport]:
    said: dict[str, Any] = {"allow_private": True, "pause_s": 0.0, **options}
    return take_from(library._parts(), Web(address, Options(**said), resolve=here), sync=sync)


def told(reports: list[FileReport]) -> dict[str, str]:
    return {report.document: report.status for report in reports}


def only_reason(reports: list[FileReport]) -> str:
    (report,) = reports
    assert report.status == "failed"
    return report.reason or ""


# --- what is taken ----------------------------------------------------------------------------------------------------


def test_a_page_becomes_a_document_of_its_site(site: Site, library: Library) -> None:
    site.put("/people/leave", PAGE, "text/html")
    assert told(take(library, site.url("/people/leave#annual"))) == {"people/leave": "added"}
    document = library.document("people/leave")
    assert document.source == f"http://{NAME}:{site.port}"
    assert document.text == "# Leave\n\nEverybody has 27 days of leave."


def test_an_unchanged_page_is_not_sent_again_and_a_changed_one_replaces_it(site: Site, library: Library) -> None:
    site.put("/leave", LEAVE)
    take(library, site.url("/leave"))
    assert told(take(library, site.url("/leave"))) == {"leave": "unchanged"}
    assert site.statuses("/leave") == [200, 304]
    site.put("/leave", LEAVE.replace("27", "30"))
    assert told(take(library, site.url("/leave"))) == {"leave": "replaced"}


def test_a_page_without_an_etag_is_fetched_but_not_indexed_again(site: Site, library: Library) -> None:
    site.put("/leave", LEAVE, ETag="")
    take(library, site.url("/leave"))
    generation = library._catalogue.generation
    assert told(take(library, site.url("/leave"))) == {"leave": "unchanged"}
    assert library._catalogue.generation == generation


def test_a_document_that_was_removed_by_hand_comes_again(site: Site, library: Library) -> None:
    site.put("/leave", LEAVE)
    take(library, site.url("/leave"))
    library.remove("leave")
    assert told(take(library, site.url("/leave"))) == {"leave": "added"}


def test_a_sitemap_brings_its_pages_and_sync_removes_what_it_lists_no_more(site: Site, library: Library) -> None:
    site.put("/", LEAVE)
    site.put("/travel/", HOTELS)
    site.put("/plan.txt", "The canteen opens at noon.", "text/plain")
    site.sitemap("/", "/travel/", "/plan.txt")
    address = site.url("/sitemap.xml")
    assert set(told(take(library, address))) == {"index.html", "travel/index.html", "plan.txt"}
    site.sitemap("/", "/plan.txt")
    assert set(told(take(library, address)).values()) == {"unchanged"}
    assert len(library.documents()) == 3
    assert told(take(library, address, sync=True))["travel/index.html"] == "removed"
    assert {document.path for document in library.documents()} == {"index.html", "plan.txt"}


def test_a_page_that_another_address_brings_too_stays(site: Site, library: Library) -> None:
    site.put("/leave", LEAVE)
    site.put("/hotels", HOTELS)
    site.sitemap("/leave", "/hotels")
    take(library, site.url("/hotels"))
    take(library, site.url("/sitemap.xml"))
    site.sitemap("/leave")
    assert "removed" not in told(take(library, site.url("/sitemap.xml"), sync=True)).values()
    assert len(library.documents()) == 2


def test_a_page_that_is_gone_is_told_and_removed_with_sync_only(site: Site, library: Library) -> None:
    site.put("/leave", LEAVE)
    take(library, site.url("/leave"))
    site.answer("/leave", 410)
    assert "not there any more (410); --sync removes" in only_reason(take(library, site.url("/leave")))
    assert len(library.documents()) == 1
    assert told(take(library, site.url("/leave"), sync=True)) == {"leave": "removed"}


@pytest.mark.parametrize("trouble", ["the page", "the sitemap", "an empty sitemap", "robots.txt"])
def test_what_cannot_be_reached_is_never_taken_for_vanished(trouble: str, site: Site, library: Library) -> None:
    site.put("/leave", LEAVE)
    site.sitemap("/leave")
    take(library, site.url("/sitemap.xml"))
    if trouble == "an empty sitemap":
        site.sitemap()
    else:
        site.answer({"the page": "/leave", "the sitemap": "/sitemap.xml", "robots.txt": "/robots.txt"}[trouble], 503)
    reports = take(library, site.url("/sitemap.xml"), sync=True)
    assert [report.status for report in reports] == ["failed"]
    assert len(library.documents()) == 1


def test_an_index_of_packed_sitemaps_is_followed(site: Site, library: Library) -> None:
    site.put("/leave", LEAVE)
    site.sitemap("/leave")
    packed = gzip.compress(site.pages["/sitemap.xml"][2])
    site.put("/pages.xml.gz", packed, "application/gzip")
    loc = f"<sitemap><loc>{site.url('/pages.xml.gz')}</loc></sitemap>"
    site.put("/index.xml", f"<sitemapindex>{loc}</sitemapindex>", "text/xml")
    assert told(take(library, site.url("/index.xml"))) == {"leave": "added"}


def test_patterns_and_a_limit_choose_pages(site: Site, library: Library) -> None:
    for name in ("a", "b", "c"):
        site.put(f"/docs/{name}", LEAVE.replace("27", name))
    site.put("/blog/x", HOTELS)
    site.sitemap("/blog/x", "/docs/a", "/docs/b", "/docs/c")
    reports = take(library, site.url("/sitemap.xml"), only=("docs/*",), pages=2)
    assert told(reports) == {"docs/a": "added", "docs/b": "added", "docs/c": "failed"}
    assert not site.statuses("/blog/x") + site.statuses("/docs/c")


def test_an_encoding_that_only_the_server_names_is_kept(site: Site, library: Library) -> None:
    site.put("/kantine", "Стол открыт в полдень, обед стоит шесть евро.".encode("koi8-r"), "text/plain; charset=koi8-r")
    take(library, site.url("/kantine"))
    assert "Стол открыт в полдень" in library.document("kantine").text


def test_what_no_reader_knows_is_told(site: Site, library: Library) -> None:
    site.put("/film", b"\0\1", "video/mp4")
    assert "no reader for video/mp4" in only_reason(take(library, site.url("/film")))


# --- what is refused --------------------------------------------------------------------------------------------------


def test_robots_txt_is_obeyed_for_each_page(site: Site, library: Library) -> None:
    site.put("/robots.txt", "User-agent: *\nDisallow: /private\nAllow: /private/open", "text/plain")
    for path in ("/private/secret", "/private/open"):
        site.put(path, LEAVE)
    site.sitemap("/private/secret", "/private/open")
    assert told(take(library, site.url("/sitemap.xml"))) == {"private/secret": "failed", "private/open": "added"}
    assert not site.statuses("/private/secret")
    assert site.statuses("/robots.txt") == [200]


def test_a_redirect_is_checked_like_the_first_address(site: Site, library: Library) -> None:
    site.put("/robots.txt", "User-agent: *\nDisallow: /secret", "text/plain")
    site.put("/new", LEAVE)
    site.put("/secret", HOTELS)
    site.answer("/moved", 301, Location="/new")
    site.answer("/trap", 302, Location="/secret")
    site.answer("/away", 302, Location=site.url("/secret", "elsewhere.test"))
    site.answer("/file", 302, Location="file:///etc/passwd")
    site.answer("/round", 302, Location="/round")
    assert told(take(library, site.url("/moved"))) == {"moved": "added"}
    assert "robots.txt" in only_reason(take(library, site.url("/trap")))
    assert "add --host elsewhere.test" in only_reason(take(library, site.url("/away")))
    assert "only http and https" in only_reason(take(library, site.url("/file")))
    assert "more than 5 redirects" in only_reason(take(library, site.url("/round")))
    assert not site.statuses("/secret")


def test_a_named_host_may_be_led_to(site: Site, library: Library) -> None:
    site.put("/leave", LEAVE)
    site.answer("/away", 302, Location=site.url("/leave", "elsewhere.test"))
    assert told(take(library, site.url("/away"), hosts=("elsewhere.test",))) == {"away": "added"}


def test_from_https_nothing_leads_to_http() -> None:
    with pytest.raises(LoadError, match="not encrypted"):
        client_module._next("https://a.test/x", "http://a.test/y")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.5.5", "100.64.0.1", "::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
     "2002:7f00:1::1"],
)  # fmt: skip
def test_addresses_of_ones_own_network_are_refused_unless_allowed(address: str) -> None:
    with pytest.raises(LoadError, match=r"private network.*--allow-private"):
        Network(resolve=lambda host, port: [address]).address("intranet.test", 80)
    assert Network(allow_private=True, resolve=lambda host, port: [address]).address("intranet.test", 80) == address


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "::", "::ffff:169.254.169.254", "fd00:ec2::254"]
)
def test_addresses_that_hold_nobodys_documents_are_always_refused(address: str) -> None:
    with pytest.raises(LoadError, match="never asked"):
        Network(allow_private=True, resolve=lambda host, port: [address]).address("cloud.test", 80)


def test_a_public_address_beside_a_private_one_does_not_help() -> None:
    with pytest.raises(LoadError, match="private network"):
        Network(resolve=lambda host, port: ["93.184.216.34", "127.0.0.1"]).address("mixed.test", 80)
    assert Network(resolve=lambda host, port: ["93.184.216.34"]).address("public.test", 80) == "93.184.216.34"


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "[::1]"])
def test_this_machine_is_refused_however_it_is_spelt(host: str, site: Site, library: Library) -> None:
    site.put("/leave", LEAVE)
    if host == "[::1]" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    reports = take_from(library._parts(), Web(site.url("/leave", host), Options(pause_s=0)))
    assert "private network" in only_reason(reports)
    assert not site.asked


def test_a_name_is_resolved_once_for_each_request_and_that_address_is_used(site: Site, library: Library) -> None:
    """A name that is public when it is checked and private when it is connected to: there is no second look."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) <= 2 else ["169.254.169.254"]

    site.put("/leave", LEAVE)
    web = Web(site.url("/leave"), Options(allow_private=True, pause_s=0), resolve=rebinding)
    assert told(take_from(library._parts(), web)) == {"leave": "added"}
    assert asked == [NAME, NAME]  # robots.txt and the page, each resolved by us alone
    assert [path for path, _ in site.asked] == ["/robots.txt", "/leave"]
    again = Web(site.url("/leave"), Options(allow_private=True, pause_s=0), resolve=rebinding)
    assert "never asked" in only_reason(take_from(library._parts(), again))


def test_the_host_is_named_and_nothing_else_is_told(site: Site, library: Library) -> None:
    site.put("/leave", LEAVE, **{"Set-Cookie": "a=b"})
    take(library, site.url("/leave"))
    take(library, site.url("/leave"))
    assert all(headers["Host"] == f"{NAME}:{site.port}" for headers in site.headers)
    assert all(headers["User-Agent"].startswith("groundling/") for headers in site.headers)
    assert not any({"Cookie", "Authorization", "Referer"} & set(headers) for headers in site.headers)


def test_a_page_that_unpacks_beyond_the_limit_is_refused(
    site: Site, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "PAGE_BYTES", 100_000)
    site.put("/bomb", gzip.compress(b"<p>x</p>" * 100_000), **{"Content-Encoding": "gzip"})
    assert len(site.pages["/bomb"][2]) < 5_000
    assert "more than 100,000 bytes" in only_reason(take(library, site.url("/bomb")))


def test_names_and_passwords_in_addresses_are_refused(site: Site) -> None:
    with pytest.raises(SettingsError, match="without a name and a password"):
        Web("https://me:secret@handbook.test/", Options())


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"<html/>", "no sitemap but <html>"), (b"<urlset", "no sitemap"), (b"\x1f\x8bxx", "damaged gzip"),
     (b"<!DOCTYPE a [<!ENTITY b 'c'>]><urlset/>", "declares entities")],
)  # fmt: skip
def test_what_is_no_sitemap_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(LoadError, match=why):
        sitemap.read("sitemap.xml", body)


def test_https_is_checked_against_the_name_though_the_address_is_used(library: Library, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("needs the program openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate, key)
    site = Site()
    server = served(site, own)
    site.put("/leave", LEAVE)
    trust = ssl.create_default_context(cafile=str(certificate))
    try:
        for name, status in ((NAME, "added"), (f"www.{NAME}", "failed")):
            web = Web(
                site.url("/leave", name, "https"), Options(allow_private=True, pause_s=0), resolve=here, trust=trust
            )
            assert [one.status for one in take_from(library._parts(), web)] == [status]
        untrusting = Web(site.url("/leave", NAME, "https"), Options(allow_private=True, pause_s=0), resolve=here)
        assert "certificate" in only_reason(take_from(library._parts(), untrusting))
    finally:
        server.shutdown()
        server.server_close()


# --- robots.txt -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("", "/a", True),
        ("User-agent: *\nDisallow: /", "/a", False),
        ("User-agent: *\nDisallow:", "/a", True),
        ("User-agent: *\nDisallow: /\nUser-agent: Groundling\nDisallow: /b", "/a", True),
        ("User-agent: Groundling/2.0\nDisallow: /b", "/b/c", False),
        ("User-agent: groundlings\nDisallow: /", "/a", True),
        ("User-agent: a\nUser-agent: *\nDisallow: /x\n\nUser-agent: *\nDisallow: /y", "/y", False),
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("User-agent: *\nDisallow: /a/b\nAllow: /a", "/a/b/c", False),
        ("User-agent: *\nAllow: /a\nDisallow: /a", "/a", True),
        ("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf", False),
        ("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf?z", True),
        ("User-agent: *\nDisallow: /a$", "/a", False),
        ("User-agent: *\nDisallow: /a$", "/ab", True),
        ("User-agent: *\nDisallow: /a*c*e", "/axxcyye", False),
        ("User-agent: *\nDisallow: /*aba$", "/aba", False),
        ("User-agent: *\nDisallow: /ab*ba$", "/aba", True),
        ("User-agent: *\nDisallow: /caf%C3%A9", "/café", False),
        ("Disallow: /a\nnonsense\nUser-agent: *\nDisallow: /b # why", "/b", False),
    ],
)
def test_robots_txt_is_read_as_rfc_9309_says(text: str, path: str, allowed: bool) -> None:
    assert robots.read(text).allows(path) is allowed


def test_the_pause_a_site_asks_for_is_kept_within_reason() -> None:
    assert robots.read("User-agent: *\nCrawl-delay: 2.5").pause_s == 2.5
    assert robots.read("User-agent: *\nCrawl-delay: 86400").pause_s == robots.LONGEST_PAUSE_S

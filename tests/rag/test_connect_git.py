"""Repositories, read with the real git: what comes in, what costs nothing, and what a hostile one cannot do."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rag.connect import repository as repository_module
from rag.connect.repository import Repository
from rag.connect.source import Options
from rag.connect.taking import take_from
from rag.errors import LoadError, SettingsError
from rag.library import Library
from rag.types import FileReport
from tests.miniature import small_library

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="needs the program git")


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "protocol.file.allow=always")
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", "-C", folder, *who, *arguments], env=env, check=True, capture_output=True, text=True
    ).stdout


def commit(folder: Path, **files: str | None) -> None:
    """Write files (`docs__leave` is docs/leave.md), or delete them, and commit."""
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink() if text is None else file.write_text(text, "utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "x")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    folder.mkdir()
    git(folder, "init", "--quiet", "-b", "main")
    (folder / "build.py").write_text("print()\n")
    (folder / ".github").mkdir()
    (folder / ".github" / "notes.md").write_text("hidden\n")
    commit(folder, docs__leave="# Leave\n\nEverybody has 27 days.\n", hotels="# Hotels\n\nThe limit is 140 euros.\n")
    return folder


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setattr("rag.ingest._workers", lambda waiting: 0)  # files are read in this process: no child to start
    with small_library(tmp_path / "index") as library:
        yield library


def take(library: Library, address: str, *, sync: bool = False, **options: Any) -> list[FileReport]:
    return take_from(library._parts(), Repository(address, Options(**options)), sync=sync)


def told(reports: list[FileReport]) -> dict[str, str]:
    return {report.document: report.status for report in reports}


def test_a_repository_brings_its_documents_and_a_new_commit_what_differs(repository: Path, library: Library) -> None:
    address = f"git+{repository}"
    assert told(take(library, address)) == {"docs/leave.md": "added", "hotels.md": "added"}
    assert library.document("docs/leave.md").source == str(repository)
    assert told(take(library, address)) == {"docs/leave.md": "unchanged", "hotels.md": "unchanged"}
    commit(repository, docs__leave="# Leave\n\nEverybody has 30 days.\n", hotels=None, canteen="Opens at noon.\n")
    assert told(take(library, address)) == {"docs/leave.md": "replaced", "canteen.md": "added"}
    assert "30 days" in library.document("docs/leave.md").text
    assert told(take(library, address, sync=True))["hotels.md"] == "removed"


def test_the_same_commit_costs_one_question(
    repository: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(library, f"git+{repository}")
    asked: list[str] = []
    real = repository_module._git
    monkeypatch.setattr(
        repository_module, "_git", lambda words, **other: asked.append(words[0]) or real(words, **other)
    )
    take(library, f"git+{repository}")
    assert asked == ["rev-parse"]
    library.remove("hotels.md")
    assert told(take(library, f"git+{repository}"))["hotels.md"] == "added"  # what was taken out by hand comes again
    assert asked == ["rev-parse", "rev-parse", "ls-tree"]


def test_what_is_committed_counts_not_what_lies_in_the_work_tree(repository: Path, library: Library) -> None:
    (repository / "hotels.md").write_text("not yet committed\n")
    take(library, f"git+{repository}")
    assert "140 euros" in library.document("hotels.md").text


def test_a_branch_a_tag_and_a_subdirectory_can_be_named(repository: Path, library: Library) -> None:
    git(repository, "tag", "v1")
    git(repository, "switch", "--quiet", "-c", "team/new")
    commit(repository, docs__leave="# Leave\n\nEverybody has 30 days.\n")
    assert told(take(library, f"git+file://{repository}@v1#subdirectory=docs")) == {"docs/leave.md": "added"}
    assert "27 days" in library.document("docs/leave.md").text
    git(repository, "branch", "next")
    assert told(take(library, f"git+{repository}@next", only=("docs/*",))) == {"docs/leave.md": "replaced"}
    with pytest.raises(LoadError, match="git could not read it"):
        list(Repository(f"git+{repository}@nowhere", Options()).bring({}, repository))


def test_sync_of_a_subdirectory_leaves_the_rest_alone(repository: Path, library: Library) -> None:
    take(library, f"git+{repository}")
    address = f"git+{repository}#subdirectory=docs"
    take(library, address)
    commit(repository, docs__leave=None, docs__other="Other.\n")
    assert told(take(library, address, sync=True)) == {"docs/other.md": "added"}
    assert told(take(library, f"git+{repository}", sync=True))["docs/leave.md"] == "removed"
    assert {document.path for document in library.documents()} == {"docs/other.md", "hotels.md"}


def test_an_unreadable_document_is_told_each_time_and_the_others_go_in(repository: Path, library: Library) -> None:
    (repository / "broken.json").write_bytes(b"\0\1\2")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "x")
    assert told(take(library, f"git+{repository}"))["broken.json"] == "failed"
    again = told(take(library, f"git+{repository}"))
    assert again == {"docs/leave.md": "unchanged", "hotels.md": "unchanged", "broken.json": "failed"}


def test_links_and_submodules_lead_nowhere(repository: Path, library: Library, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("The key is under the mat.\n")
    (repository / "link.md").symlink_to(tmp_path / "secret.md")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet", "-b", "main")
    commit(other, inside="In a submodule.\n")
    git(repository, "submodule", "--quiet", "add", str(other), "sub.md")
    commit(repository)
    assert set(told(take(library, f"git+{repository}"))) == {"docs/leave.md", "hotels.md"}


def test_nothing_of_a_hostile_repository_is_run(repository: Path, library: Library, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    (repository / ".gitattributes").write_text("*.md filter=evil diff=evil\n")
    commit(repository)
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc", "fsmonitor-watchman"):
        (repository / ".git" / "hooks").mkdir(exist_ok=True)
        shutil.copy(program, repository / ".git" / "hooks" / hook)
    settings = {
        "core.fsmonitor": program, "core.pager": program, "core.sshCommand": program, "filter.evil.smudge": program,
        "diff.evil.textconv": program, "core.hooksPath": repository / ".git" / "hooks", "alias.ls-tree": f"!{program}",
        "uploadpack.packObjectsHook": program, "credential.helper": program, "protocol.ext.allow": "always",
        "remote.origin.url": f"ext::{program}", "remote.origin.promisor": "true", "extensions.partialClone": "origin",
    }  # fmt: skip
    for name, value in settings.items():
        git(repository, "config", name, str(value))
    assert set(told(take(library, f"git+{repository}"))) == {"docs/leave.md", "hotels.md"}
    blob = git(repository, "rev-parse", "HEAD:hotels.md").strip()
    library.remove("hotels.md")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()  # git would ask the remote for what is missing
    assert told(take(library, f"git+{repository}", sync=True)) == {"docs/leave.md": "unchanged", "hotels.md": "failed"}
    assert not mark.exists()


def test_variables_of_the_caller_do_not_lead_to_another_repository(
    repository: Path, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nonsense")
    assert len(take(library, f"git+{repository}")) == 2


@pytest.mark.parametrize(
    "address",
    ["git+git://example.com/a", "git+ext::sh -c x", "git+https://me:secret@example.com/a", "git+https://me@example.com/a",
     "git+ssh://-oProxyCommand=x/a", "git+/a@--upload-pack=x", "git+/a#egg=x", "git+/a#subdirectory=../b",
     "git+/a#subdirectory=:(exclude)b", "git+ftp://example.com/a"],
)  # fmt: skip
def test_addresses_that_mean_something_else_are_refused(address: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Repository(address, Options())
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["https", "http", "ssh"])
def test_a_repository_in_a_private_network_is_not_asked(scheme: str, library: Library) -> None:
    (report,) = take(library, f"git+{scheme}://localhost/a")
    assert "private network" in (report.reason or "")


def test_a_folder_that_is_no_repository_is_told(tmp_path: Path, library: Library) -> None:
    (tmp_path / "plain").mkdir()
    (report,) = take(library, f"git+{tmp_path / 'plain'}")
    assert "not a git repository" in (report.reason or "")
    (report,) = take(library, f"git+{tmp_path / 'nowhere'}")
    assert "no such folder" in (report.reason or "")


# --- elsewhere --------------------------------------------------------------------------------------------------------


class GitOverHttp(BaseHTTPRequestHandler):
    """Git's own server behind HTTP; `/moved` redirects to it."""

    root: Path
    asked: list[str]

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.asked.append(path)
        if path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", self.path.replace("/moved", "/handbook", 1))
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = {
            "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "PATH": os.environ["PATH"],
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, env=request, capture_output=True, check=True)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(lines.pop("Status", "200").split()[0]))
        for name, value in lines.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *args: Any) -> None:
        """A test's output is its own."""


def test_a_repository_elsewhere_is_asked_for_its_commit_and_cloned_only_for_a_new_one(
    repository: Path, library: Library, tmp_path: Path
) -> None:
    git(repository, "tag", "-a", "v1", "-m", "x")
    asked: list[str] = []
    handler = type("Handler", (GitOverHttp,), {"root": tmp_path, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def followed(path: str, allow_private: bool = True) -> list[FileReport]:
        address = f"git+http://handbook.test:{server.server_address[1]}/{path}"  # only the checked address leads there
        source = Repository(address, Options(allow_private=allow_private), resolve=lambda host, port: ["127.0.0.1"])
        return take_from(library._parts(), source)

    try:
        assert "private network" in (followed("handbook/.git", allow_private=False)[0].reason or "")
        assert not asked
        assert told(followed("handbook/.git")) == {"docs/leave.md": "added", "hotels.md": "added"}
        assert "/handbook/.git/git-upload-pack" in asked
        asked.clear()
        assert told(followed("handbook/.git")) == {"docs/leave.md": "unchanged", "hotels.md": "unchanged"}
        assert len(asked) <= 2  # what there is, and where the branches stand: no clone
        commit(repository, hotels="# Hotels\n\nThe limit is 160 euros.\n")
        assert told(followed("handbook/.git")) == {"docs/leave.md": "unchanged", "hotels.md": "replaced"}
        assert told(followed("handbook/.git@v1"))["hotels.md"] == "replaced"
        assert "140 euros" in library.document("hotels.md").text
        assert "no branch or tag nowhere" in (followed("handbook/.git@nowhere")[0].reason or "")
        assert "could not read it" in (followed("moved/.git")[0].reason or "")  # redirects are not followed
    finally:
        server.shutdown()
        server.server_close()

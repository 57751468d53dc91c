"""The documents of a Git repository, read out of its objects: nothing is ever checked out.

Takes   `git+https://host/path`, `git+ssh://…`, `git+file:///path` or `git+/path`; then `@ref` and `#subdirectory=docs`.
Gives   each file of a format that is read. The same commit costs one question (`git ls-remote`), a new one a shallow
        clone that is deleted again; of that only files whose blob differs are read.
Runs    no hook, filter, submodule or transport program of the repository: there is no work tree, hooks are off, one
        protocol is allowed, links and submodules are left out. Private addresses need `allow_private`.
Refuses `git://` (nobody knows who answers), other transports, and clones beyond CLONE_BYTES or CLONE_S.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple
from urllib.parse import unquote, urlsplit

from rag.connect.network import Network, Resolve, resolve
from rag.connect.source import WHOLE, Brought, Event, Kept, Missing, Options, Whole, staged
from rag.discover import is_litter
from rag.errors import LoadError, MissingExtra, SettingsError
from rag.load import READERS

CLONE_BYTES = 4_000_000_000
CLONE_S = 1800.0
ANSWER_S = 120.0
BLOB_BYTES = 200_000_000
LOOKED_S = 0.2  # between two looks at a clone's size
_REF = re.compile(r"[\w][\w./+-]*")
_KEPT = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")
_SAFE = {
    "core.hooksPath": os.devnull, "core.fsmonitor": "false", "core.symlinks": "false", "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false", "http.followRedirects": "false", "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60", "protocol.ext.allow": "never", "gc.auto": "0", "maintenance.auto": "false",
}  # fmt: skip


class _Blob(NamedTuple):
    """A file of a commit."""

    name: str  # of the object
    size: int  # -1: the object is not there
    path: str


class Repository:
    """See the module."""

    alone = False  # another ref or subdirectory of it may bring documents too

    def __init__(self, given: str, options: Options, *, resolve: Resolve = resolve) -> None:
        self._resolve = resolve
        address, _, fragment = given.removeprefix("git+").partition("#")
        self._below = _subdirectory(fragment)
        address, self._ref = _split_ref(address)
        self.options = options
        parts = urlsplit(address)
        if parts.scheme in ("", "file") and not parts.netloc:
            self._local: Path | None = Path(unquote(parts.path)).resolve()
            self._url = self.source = str(self._local)
        elif parts.scheme in ("https", "http", "ssh") and parts.hostname and not parts.hostname.startswith("-"):
            self._local = None
            self._url = address
            user = f"{parts.username}@" if parts.username and parts.scheme == "ssh" else ""
            port = f":{parts.port}" if parts.port else ""
            self.source = f"{parts.scheme}://{user}{parts.hostname}{port}{parts.path.rstrip('/')}"
        else:
            raise SettingsError(f"{given}: name a repository as git+https://…, git+ssh://… or git+/path")
        if parts.password or (parts.username and parts.scheme != "ssh"):
            raise SettingsError(f"{self.source}: no names and passwords in addresses; let git's credential helper know")
        at = f"@{self._ref}" if self._ref != "HEAD" else ""
        self.address = f"git+{self.source}{at}" + (f"#subdirectory={self._below}" if self._below else "")

    def bring(self, known: Mapping[str, str], into: Path) -> Iterator[Event]:
        """Every readable file of the commit that the ref names."""
        network = [] if self._local else self._reach()
        commit = self._commit_there(network) if self._local is None else self._commit_here(self._local)
        whole = f"{commit} {self.options.only} {len(READERS)}"
        if known.get(WHOLE) == whole:
            yield Whole(whole, unchanged=True)
            return
        with tempfile.TemporaryDirectory(prefix="groundling-") as folder:
            home = self._local or self._clone(Path(folder) / "clone.git", network)
            if self._local is None:
                commit = _git(["rev-parse", "--verify", "--end-of-options", "HEAD^{commit}"], home=home)
                whole = f"{commit} {self.options.only} {len(READERS)}"
            yield from self._files(home, commit, known, into)
        yield Whole(whole)

    # --- where the commit comes from ----------------------------------------------------------------------------------

    def _reach(self) -> list[str]:
        """Settings that let git connect only to the address that was checked."""
        parts = urlsplit(self._url)
        host = parts.hostname or ""
        port = parts.port or {"https": 443, "http": 80, "ssh": 22}[parts.scheme]
        checked = Network(allow_private=self.options.allow_private, resolve=self._resolve).address(host, port)
        pinned = f"[{checked}]" if ":" in checked else checked
        return ["-c", f"http.curloptResolve={host}:{port}:{pinned}"] if parts.scheme != "ssh" else []

    def _commit_there(self, network: Sequence[str]) -> str:
        told = _git([*network, "ls-remote", "--quiet", "--", self._url, self._ref], protocol=urlsplit(self._url).scheme)
        rows = (line.partition("\t") for line in told.splitlines())
        names = {name: commit for commit, _, name in rows}
        for name in (self._ref, f"refs/heads/{self._ref}", f"refs/tags/{self._ref}^{{}}", f"refs/tags/{self._ref}"):
            if name in names:
                return names[name]
        raise LoadError(f"{self.address}: no branch or tag {self._ref}; `git ls-remote {self._url}` lists them")

    def _commit_here(self, folder: Path) -> str:
        if not folder.exists():
            raise LoadError(f"{folder}: no such folder; check the path")
        return _git(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{self._ref}^{{commit}}"], home=folder)

    def _clone(self, target: Path, network: Sequence[str]) -> Path:
        branch = [] if self._ref == "HEAD" else ["--branch", self._ref]
        command = [
            *network, "clone", "--quiet", "--bare", "--depth", "1", "--single-branch", "--no-tags", "--template=",
            "--no-recurse-submodules", *branch, "--", self._url, str(target),
        ]  # fmt: skip
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                _line(command), env=_environment(urlsplit(self._url).scheme),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
            )  # fmt: skip
            deadline = time.monotonic() + CLONE_S
            try:
                while process.poll() is None:
                    _wait(process)
                    if time.monotonic() > deadline or _size(target) > CLONE_BYTES:
                        limit = f"{CLONE_BYTES:,} bytes and {CLONE_S:g} s"
                        raise LoadError(f"{self.address}: larger than {limit}; clone it and name the path")
            finally:
                process.kill()
                process.wait()
            if process.returncode:
                said.seek(0)
                raise LoadError(_failed(self.address, said.read()))
        return target

    # --- what is in it ------------------------------------------------------------------------------------------------

    def _files(self, home: Path, commit: str, known: Mapping[str, str], into: Path) -> Iterator[Event]:
        blobs = [blob for blob in self._listed(home, commit) if self._is_document(blob.path)]
        with _objects(home) as (ask, answer):
            for number, blob in enumerate(blobs, start=1):
                if known.get(blob.path) == blob.name:
                    yield Kept(blob.path)
                elif blob.size < 0:
                    yield Missing(
                        blob.path, f"{blob.path}: its object {blob.name[:12]} is missing; mend it with `git fsck`"
                    )
                elif blob.size > BLOB_BYTES:
                    yield Missing(blob.path, f"{blob.path}: {blob.size:,} bytes, the limit is {BLOB_BYTES:,}")
                else:
                    ask.write(blob.name.encode() + b"\n")
                    ask.flush()
                    head = answer.readline().split()
                    if len(head) != 3 or head[1] != b"blob":
                        raise LoadError(f"{self.address}: object {blob.name} is missing; mend it with `git fsck`")
                    file = staged(into, number, blob.path)
                    file.write_bytes(answer.read(int(head[2])))
                    answer.read(1)
                    yield Brought(blob.path, file, blob.name)

    def _listed(self, home: Path, commit: str) -> Iterator[_Blob]:
        """Files of the commit; links (120000) and submodules (160000) are none."""
        below = ["--", self._below] if self._below else []
        listed = _git(["ls-tree", "-r", "-z", "-l", "--full-tree", commit, *below], home=home)
        for row in filter(None, listed.split("\0")):
            about, _, path = row.partition("\t")
            mode, kind, name, size = about.split()
            if kind == "blob" and mode in ("100644", "100755"):
                yield _Blob(name, int(size) if size.isdigit() else -1, path)

    def _is_document(self, path: str) -> bool:
        parts = PurePosixPath(path)
        readable = parts.suffix.lower() in READERS and not any(is_litter(part) for part in parts.parts)
        return readable and self.options.wanted(path)


def _subdirectory(fragment: str) -> str:
    if not fragment:
        return ""
    name, _, value = fragment.partition("=")
    value = unquote(value).strip("/")
    if name != "subdirectory" or not value or value.startswith(":") or ".." in PurePosixPath(value).parts:
        raise SettingsError(f"#{fragment}: after # only subdirectory=FOLDER can stand, inside the repository")
    return value


def _split_ref(address: str) -> tuple[str, str]:
    """`https://host/team/handbook@v2` names the ref v2; an @ before the path is a person."""
    head, slash, last = address.rpartition("/")
    name, at, ref = last.partition("@")
    if not at:
        return address, "HEAD"
    if not _REF.fullmatch(ref) or ".." in ref:
        raise SettingsError(f"{ref!r}: no name of a branch or tag; write git+https://host/team/handbook@main")
    return head + slash + name, ref


# --- the program ------------------------------------------------------------------------------------------------------


def _line(arguments: Sequence[str]) -> list[str]:
    safe = [word for name, value in _SAFE.items() for word in ("-c", f"{name}={value}")]
    return ["git", "--no-pager", "--no-replace-objects", "--literal-pathspecs", *safe, *arguments]


def _environment(protocol: str) -> dict[str, str]:
    """The caller's, without what would lead git to another repository; one protocol alone, and nobody is asked."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    ours = {"GIT_ALLOW_PROTOCOL": protocol, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    quiet = {"GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "GCM_INTERACTIVE": "never", "GIT_OPTIONAL_LOCKS": "0"}
    return {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes", **kept, **ours, **quiet}


def _git(arguments: Sequence[str], *, home: Path | None = None, protocol: str = "none") -> str:
    """What git prints; "none" is no protocol, so that nothing is fetched."""
    where = ["-C", str(home)] if home else []
    try:
        done = subprocess.run(
            _line([*where, *arguments]), env=_environment(protocol),
            stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_S, check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise MissingExtra("repositories need the program git: install it (apt-get install git)") from error
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"git {arguments[0]}: no answer within {ANSWER_S:g} s; try again later") from error
    if done.returncode:
        raise LoadError(_failed(str(home or arguments[-2]), done.stderr))
    return done.stdout.decode("utf-8", "backslashreplace").strip()


def _failed(address: str, said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    reason = lines[-1].removeprefix("fatal: ")[:200] if lines else "no such commit"
    return f"{address}: git could not read it ({reason}); check the address and that git may open it"


@contextmanager
def _objects(home: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """`git cat-file --batch`: a name in, its bytes out."""
    process = subprocess.Popen(
        _line(["-C", str(home), "cat-file", "--batch"]), env=_environment("none"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdin, process.stdout
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(LOOKED_S)
    except subprocess.TimeoutExpired:
        pass


def _size(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size  # noqa: PTH118 - many files, often
            except OSError:  # moved since it was listed
                pass
    return total

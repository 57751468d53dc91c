"""One way to replace a file: whole or not at all, on the disk before it is named, named on the disk before we go on."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rag import files

KILLED = """
import os, signal, sys
from pathlib import Path
from rag import files
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "while it is written":
    Path.write_text = lambda self, text, encoding: (self.write_bytes(text[:5].encode()), die())
elif sys.argv[2] == "before it is named":
    Path.replace = die
else:
    replaced, Path.replace = Path.replace, lambda self, to: (replaced(self, to), die())
files.write_json(Path(sys.argv[1]), {"version": 2})
"""


@pytest.mark.slow  # starts processes
@pytest.mark.parametrize(
    ("moment", "stands"), [("while it is written", 1), ("before it is named", 1), ("after it is named", 2)]
)
def test_a_kill_at_any_moment_leaves_one_of_the_two_whole(tmp_path: Path, moment: str, stands: int) -> None:
    file = tmp_path / "current.json"
    files.write_json(file, {"version": 1})
    done = subprocess.run([sys.executable, "-c", KILLED, str(file), moment], capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert files.read_json(file) == {"version": stands}
    files.write_json(file, {"version": 3})
    assert files.read_json(file) == {"version": 3}


def test_content_is_on_the_disk_before_its_name_and_the_name_before_we_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    real_sync, real_replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real_sync(handle)

    def replaced(self: Path, target: Path) -> Path:
        order.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    files.write(tmp_path / "SHA256SUMS", "one\n")
    assert order == ["file", "rename", "folder"]


def test_what_fails_while_it_is_written_leaves_the_former_and_nothing_beside(tmp_path: Path) -> None:
    file = tmp_path / "rag.toml"
    files.write(file, "former\n")

    def fail_halfway() -> None:
        with files.aside(file) as part:
            part.write_text("half")
            raise OSError("no room left")

    with pytest.raises(OSError, match="no room"):
        fail_halfway()
    assert [one.name for one in tmp_path.iterdir()] == ["rag.toml"]
    assert file.read_text() == "former\n"


@pytest.mark.skipif(sys.platform == "win32", reason="rights are others there")
def test_what_is_private_is_never_readable_by_others(tmp_path: Path) -> None:
    with files.aside(tmp_path / "key", private=True) as part:
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    mask = os.umask(0o027)
    try:
        files.write(tmp_path / "state.json", "{}")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o640


@pytest.mark.parametrize("said", ["{", "[1]", None])
def test_a_file_that_says_nothing_is_an_empty_object(tmp_path: Path, said: str | None) -> None:
    if said is not None:
        (tmp_path / "state.json").write_text(said)
    assert files.read_json(tmp_path / "state.json") == {}

"""What cannot be read is refused in one line: file, reason, next step. Nothing but our own errors leaves the loaders."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag import load
from rag.errors import GroundlingError, LoadError, MissingExtra, UnknownFormat
from rag.load import limits
from tests import formats

ZIPPED = [".docx", ".pptx", ".xlsx", ".odt", ".epub"]


def refusal(path: Path) -> str:
    with pytest.raises(LoadError) as caught:
        list(load.pages(path))
    message = str(caught.value)
    assert message.startswith(f"{path.name}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("suffix", "cure"), [(".doc", "save it as .docx"), (".msg", ".eml"), (".bmp", ".png")])
def test_a_known_format_without_reader_comes_with_the_next_step(suffix: str, cure: str, tmp_path: Path) -> None:
    path = tmp_path / f"old{suffix}"
    path.write_bytes(b"x")
    with pytest.raises(UnknownFormat, match=f"no reader for '{suffix}'.*{cure}"):
        list(load.pages(path))


def test_an_unknown_format_names_the_readable_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.qqq"
    path.write_bytes(b"x")
    with pytest.raises(UnknownFormat, match=r"Readable: .*\.docx.*\.pdf"):
        list(load.pages(path))


@pytest.mark.parametrize("suffix", sorted(load.READERS))
def test_an_empty_file_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"empty{suffix}"
    path.touch()
    assert "empty (0 bytes)" in refusal(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "not a file" in refusal(tmp_path / "gone.txt")


@pytest.mark.parametrize("suffix", ZIPPED)
def test_a_broken_zip_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"broken{suffix}"
    formats.MAKERS[suffix](path)
    path.write_bytes(path.read_bytes()[:-200])
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("suffix", [".docx", ".txt", ".png", ".html"])
def test_a_pdf_under_another_name_is_told_by_its_first_bytes(suffix: str, tmp_path: Path) -> None:
    formats.pdf(tmp_path / "a.pdf")
    path = (tmp_path / "a.pdf").rename(tmp_path / f"a{suffix}")
    message = refusal(path)
    assert "rename it to end in .pdf" in message or suffix == ".png"


def test_text_under_the_name_of_an_office_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    path.write_text("just words")
    assert "not a .docx file" in refusal(path)


def test_a_protected_office_file_is_refused_for_its_password(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000)
    assert "password" in refusal(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * (limits.RATIO_COUNTS_FROM + 1))
    assert "unpacks to" in refusal(path)


def test_a_zip_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "liar.epub"
    formats.epub(path)
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # the directory's last entry: its uncompressed size stands at 24
    data[entry + 24 : entry + 28] = struct.pack("<I", 4_000_000_000)
    path.write_bytes(data)
    assert "unpacks to" in refusal(path)


@pytest.mark.parametrize("suffix", [".xml", ".odt", ".docx"])
def test_xml_that_declares_entities_is_refused(suffix: str, tmp_path: Path) -> None:
    laughs = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><a>&b;</a>'
    path = tmp_path / f"laughs{suffix}"
    if suffix == ".xml":
        path.write_text(laughs)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("content.xml", laughs)
    assert "declares entities" in refusal(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep.html", "<div>" * 50_000 + "x"),
        ("deep.json", "[" * 100_000 + "]" * 100_000),
        ("deep.xml", "<a>" * 5_000 + "x" + "</a>" * 5_000),
        ("deep.rst", "\n\n".join(" " * n + "- x" for n in range(3_000))),
    ],
)
def test_deep_nesting_is_refused(name: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content)
    refusal(path)


def test_one_enormous_line_is_read(tmp_path: Path) -> None:
    path = tmp_path / "line.txt"
    path.write_text("word " * 400_000)
    assert len(next(load.pages(path)).text) == 2_000_000


def test_a_text_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TEXT_CHARACTERS", 1_000)
    path = tmp_path / "long.txt"
    path.write_text("x" * 1_001)
    assert "split it" in refusal(path)


def test_binary_data_under_a_text_suffix_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.txt"
    path.write_bytes(bytes(range(256)) * 40)
    assert "binary data" in refusal(path)


def test_a_missing_package_comes_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "docx", None)  # as Python marks a module that cannot be found
    path = tmp_path / "a.docx"
    formats.docx_free(path)
    with pytest.raises(MissingExtra, match=r'Reading \.docx needs docx: pip install "groundling\[formats\]"'):
        list(load.pages(path))


@pytest.mark.parametrize("suffix", sorted(set(formats.MAKERS) | {".xls", ".rtf", ".xml", ".ods", ".odp", ".tiff"}))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_text_or_our_own_error(suffix: str, data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    if suffix in formats.MAKERS:
        if not (tmp_path / f"good{suffix}").exists():
            formats.MAKERS[suffix](tmp_path / f"good{suffix}")
        content = bytearray((tmp_path / f"good{suffix}").read_bytes())
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    else:
        content = bytearray(data.draw(st.binary(min_size=1, max_size=200)))
    path.write_bytes(content)
    try:
        pages = list(load.pages(path))
    except GroundlingError as error:
        assert str(error).startswith(path.name)  # noqa: PT017 - other bytes may well be readable
    else:
        assert all(isinstance(page.text, str) for page in pages)

"""What corpus sources may be, and how bad input is met: clear errors, and nothing of an earlier run is lost."""

from __future__ import annotations

import gzip
import json
import lzma
import sys
import tracemalloc

import pytest

from tests.trainer.office import page, write_jsonl
from trainer.cleaning import sources
from trainer.corpus import corpus
from trainer.errors import DataError, MissingExtra, RecipeError
from trainer.recipe import Recipe


def run(data, **settings):
    settings = {"sources": {"notes": "raw"}, "workers": 1, "held_share": 0.0, "page": False, **settings}
    folder = corpus(Recipe("test", data, data / "out", {"corpus": settings}))
    texts = [json.loads(line)["text"] for line in (folder / "notes.train.jsonl").read_text().splitlines()]
    return texts, json.loads((folder / "report.json").read_text())


def raw(data, name="notes.jsonl", text=None):
    path = data / "raw" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json.dumps({"text": page(1)}).encode() + b"\n" if text is None else text)
    return path


def test_a_folder_is_read_with_everything_below_it(tmp_path):
    raw(tmp_path)
    raw(tmp_path, "deep/er/two.md", page(2).encode())
    raw(tmp_path, "three.html", f"<p>{page(3)}</p>".encode())
    raw(tmp_path, ".hidden.txt", page(4).encode())
    with gzip.open(tmp_path / "raw" / "five.jsonl.gz", "wt") as out:
        out.write(json.dumps({"text": page(5)}))
    assert sorted(run(tmp_path)[0]) == sorted(page(seed) for seed in (1, 2, 3, 5))


def test_blank_lines_are_no_documents(tmp_path):
    row = json.dumps({"text": page(1)}).encode()
    raw(tmp_path, text=b"\n" + row + b"\n \r\n\n")
    texts, report = run(tmp_path)
    assert texts == [page(1)]
    assert report["documents"] == 1


@pytest.fixture
def earlier(tmp_path):
    """A clean folder from an earlier run, and a new source beside the old one."""
    raw(tmp_path)
    run(tmp_path)
    return tmp_path


def lines(data):
    return (data / "out/clean/notes.train.jsonl").read_text().splitlines()


def assert_untouched(data):
    assert [json.loads(line)["text"] for line in lines(data)] == [page(1)]
    assert json.loads((data / "out/clean/report.json").read_text())["kept"] == 1


def test_damaged_xz_is_named_and_the_earlier_result_stands(earlier):
    packed = lzma.compress("".join(json.dumps({"text": page(s, 60)}) + "\n" for s in range(40)).encode())
    for damaged, name in ((packed[: len(packed) // 2], "short"), (packed[:200] + b"\0\1\2" * 9 + packed[227:], "bad")):
        path = raw(earlier, f"{name}.jsonl.xz", damaged)
        with pytest.raises(DataError, match=rf"{name}\.jsonl\.xz: damaged after line \d+"):
            run(earlier)
        assert_untouched(earlier)
        path.unlink()


def test_an_empty_corpus_is_refused_and_the_earlier_result_stands(earlier):
    raw(earlier, text=b"")
    with pytest.raises(DataError, match=r"notes\.jsonl: there is not one document inside; give --data"):
        run(earlier)
    raw(earlier, text=b'{"text": "hi"}\n')
    with pytest.raises(DataError, match=r"no document of \['notes'\] was kept: \{'too few words': 1\}"):
        run(earlier)
    assert_untouched(earlier)


@pytest.mark.parametrize("name", ["broken.jsonl", "broken.txt"])
def test_invalid_utf8_is_refused_with_file_and_byte_unless_told_otherwise(earlier, name):
    broken = json.dumps({"text": page(2)}).encode() if name.endswith("l") else page(2).encode()
    raw(earlier, name, broken.replace(b"and", b"\xe4nd", 1))
    where = r"broken\.jsonl, line 1" if name.endswith("l") else r"broken\.txt"
    with pytest.raises(DataError, match=rf"{where}: byte [\d,]+ is no UTF-8.*invalid_utf8"):
        run(earlier)
    assert_untouched(earlier)
    texts, report = run(earlier, invalid_utf8="drop")
    assert (texts, report["dropped"]) == ([page(1)], {"invalid UTF-8": 1})
    assert [text for text in run(earlier, invalid_utf8="replace")[0] if "\ufffdnd" in text]


def test_one_huge_line_is_counted_and_read_past_in_little_memory(tmp_path):
    path = raw(tmp_path)
    with lzma.open(tmp_path / "raw" / "more.jsonl.xz", "wb", preset=0) as out:
        out.write(b'{"text": "')
        for _ in range(40):
            out.write(b"word " * 200_000)
        out.write(b'"}\n' + json.dumps({"text": page(2)}).encode() + b"\n")
    texts, report = run(tmp_path, longest_megabytes=1.0)
    assert texts == [page(2), page(1)] or texts == [page(1), page(2)]
    assert report["dropped"] == {"too long to be one document": 1}
    assert "more.jsonl.xz, line 1" in report["samples"]["too long to be one document"][0]["source"]
    assert report["samples"]["too long to be one document"][0]["text"] == "40,000,013 bytes"
    tracemalloc.start()
    assert next(sources.items(tmp_path / "raw" / "more.jsonl.xz", longest=1_000_000)).size == 40_000_013
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6_000_000
    assert path.exists()


def test_a_file_too_long_is_not_even_read(tmp_path):
    raw(tmp_path)
    raw(tmp_path, "huge.txt", b"word " * 300_000)
    assert run(tmp_path, longest_megabytes=1.0)[1]["dropped"] == {"too long to be one document": 1}


def test_files_without_text_are_counted(tmp_path):
    raw(tmp_path)
    raw(tmp_path, "scan.pdf", b"%PDF-1.4 broken")
    raw(tmp_path, "picture.bin", b"PNG\0\0\0")
    assert run(tmp_path)[1]["dropped"] == {"no text inside": 2}


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"invalid_utf8": "ignore"}, "invalid_utf8 is 'ignore'"),
        ({"longest_megabytes": 0.0}, "longest_megabytes is 0"),
        ({"workers": -3}, "workers is -3; use 0"),
        ({"sources": {"notes": "hf:owner/name?field=text"}}, "field"),
        ({"weights": {"other": 1.0}}, "other"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, setting, told):
    raw(tmp_path)
    with pytest.raises(RecipeError, match=told):
        run(tmp_path, **setting)


def test_what_a_failed_run_left_is_gone_after_the_next(earlier):
    (earlier / "out/clean.part").mkdir()
    (earlier / "out/clean.part/other.train.jsonl").write_text("{}")
    run(earlier)
    assert sorted(path.name for path in (earlier / "out").iterdir()) == ["clean"]
    assert not (earlier / "out/clean/other.train.jsonl").exists()


def test_a_data_set_of_the_hub_needs_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"groundling\[hub\]"):
        run(tmp_path, sources={"notes": "hf:owner/name"})


def test_a_data_set_is_read_through_datasets(tmp_path):
    """The library's own JSON reader needs no network and goes the same way."""
    datasets = pytest.importorskip("datasets")
    write_jsonl(tmp_path / "set" / "train.jsonl", [{"body": page(s), "license": "CC0"} for s in (1, 2)])
    assert datasets.__version__
    pattern = f"hf:{tmp_path / 'set'}?column=body"
    texts, report = run(tmp_path, sources={"notes": pattern})
    assert texts == [page(1), page(2)]
    assert set(report["domains"]["notes"]["licences"]) == {"CC0"}
    with pytest.raises(DataError, match="no column 'text'; there are"):
        run(tmp_path, sources={"notes": f"hf:{tmp_path / 'set'}"})

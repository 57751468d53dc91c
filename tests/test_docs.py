"""The documentation says what the code does: commands, options, keys, targets, links."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from rag.cli import app, main
from rag.library import Library, Pinned
from rag.quality import Measurement
from rag.types import Answer, Citation, Fact, FileReport
from trainer.cli import STAGES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*/README.md"))]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_of(path: Path) -> Iterator[str]:
    """Each line of fenced code, and each piece of `inline code`."""
    text = path.read_text("utf-8")
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def calls(path: Path, program: str) -> Iterator[list[str]]:
    """The words of every `rag ...` in a page, comments and prompts taken off."""
    for line in code_of(path):
        line = line.strip().removeprefix("$ ").partition("  #")[0]
        if re.match(rf"{program} [a-z]", line):
            try:
                yield shlex.split(line)[1:]
            except ValueError:  # an apostrophe in a table
                yield line.split()[1:]


def command_of(words: list[str]) -> Any:
    """The command that is called, in its group where it has one; None where it does not exist."""
    found: Any = None
    commands: Any = COMMANDS
    for word in words:
        found = commands.get(word)
        commands = getattr(found, "commands", None)
        if not commands:
            break
    return found


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_documented_command_and_option_exists(page: Path) -> None:
    for words in calls(page, "rag"):
        assert command_of(words), f"{named(page)}: rag {' '.join(words[:2])} does not exist"
        known = {
            option for parameter in command_of(words).params for option in [*parameter.opts, *parameter.secondary_opts]
        }
        for word in words[1:]:
            if word.startswith("-") and not word.startswith("---"):
                assert word.partition("=")[0] in known | {"--help"}, f"{named(page)}: rag {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_documented_stage_of_training_exists(page: Path) -> None:
    for words in calls(page, "trainer"):
        assert words[0] in {*STAGES, "improve"}, f"{named(page)}: trainer {words[0]} does not exist"


def test_every_command_is_documented_in_the_readme() -> None:
    told = {words[0] for words in calls(ROOT / "README.md", "rag")}
    assert set(COMMANDS) - told == set()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    first = str(COMMANDS[name].help).split(".")[0].split()
    assert " ".join(first) in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+)(?:-%)?:", makefile, re.MULTILINE))
    for line in code_of(page):
        if match := re.match(r"(?:\$ )?make ([a-z]+)", line.strip()):
            assert match[1] in targets, f"{named(page)}: make {match[1]}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{named(page)}: {target}"


def test_files_that_are_named_in_code_exist() -> None:
    """`docs/formats.md`, `rag/answer.py` and the like; folders that are made at run time are not."""
    for page in PAGES:
        for name in re.findall(
            r"`((?:rag|trainer|docs|tests|examples|configs|scripts|models)/[\w./-]+)`", page.read_text("utf-8")
        ):
            assert "NAME" in name or (ROOT / name).exists(), f"{named(page)}: {name}"


# --- contracts --------------------------------------------------------------------------------------------------------


def documented(name: str) -> Any:
    """The JSON that docs/contracts.md shows for one command."""
    text = (ROOT / "docs" / "contracts.md").read_text("utf-8")
    found = re.search(rf"<!-- contract: {name} -->\n```json\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found, f"docs/contracts.md shows no {name}"
    return json.loads(found[1])


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--json"])
    assert left.value.code == 0
    return json.loads(capsys.readouterr().out)


def test_the_documented_answer_has_the_keys_of_a_real_one() -> None:
    citation = Citation("a", 1, 1, 0, 1, "x", 1, 0.5)
    answer = Answer("x", False, 0.5, (citation,), "id", "model", 1, {"total": 1.0})
    shown = documented("ask")
    assert list(shown) == list(answer.as_dict())
    assert list(shown["citations"][0]) == list(answer.as_dict()["citations"][0])
    refusal = dataclasses.replace(answer, abstained=True, notices=("n",)).as_dict()
    assert list(refusal) == [*shown, "nearest", "reason", "notices"]


def test_the_documented_report_of_a_file_has_the_keys_of_a_real_one() -> None:
    assert list(documented("add")["files"][0]) == list(FileReport("a.md", "added").as_dict())


def test_documents_show_and_search_print_what_is_documented(
    shared_library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    index = ("--index", str(shared_library.path))
    assert list(printed(capsys, "documents", *index)["documents"][0]) == list(documented("documents")["documents"][0])
    assert list(printed(capsys, "show", "leave.md", *index)) == list(documented("show"))
    assert list(printed(capsys, "search", "leave", *index)["hits"][0]) == list(documented("search")["hits"][0])


def test_what_is_kept_is_printed_as_documented(shared_library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    index = ("--index", str(shared_library.path))
    assert list(documented("memory")["remembered"][0]) == [field.name for field in dataclasses.fields(Fact)]
    assert list(printed(capsys, "memory", *index)) == list(documented("memory"))
    assert printed(capsys, "retention", *index).keys() == documented("retention").keys()
    one = Pinned("id", "default", "Why?", "So.", False, "id", "local", "2026-11-22", True)
    assert list(documented("pinned")["pinned"][0]) == list(one.as_dict())


def test_what_was_measured_is_printed_as_documented(
    shared_library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    index = ("--index", str(shared_library.path))
    shown, said = documented("quality"), printed(capsys, "quality", *index)
    assert said.keys() == shown.keys()
    assert said["thumbs"].keys() == shown["thumbs"].keys()
    run = Measurement(1, "file", "x", "y", 1, "local", "2026-11-22", None, "done", None, "m", 1, "normal")
    assert run.as_dict().keys() == shown["measurements"][0].keys()
    shown, said = documented("gap"), printed(capsys, "gap", *index)
    assert said.keys() == shown.keys()
    assert said["ordinary"].keys() == shown["ordinary"].keys()


def test_the_readme_shows_a_session_early_and_holds_no_placeholder() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    head = text.splitlines()[:30]
    assert any(line.startswith("$ rag ask ") for line in head[:25]), "a real session by line 25"
    assert not re.search(r"\b(TODO|TBD|FIXME|XXX|lorem|SESSION|PICTURE)\b", text)


def test_make_lists_its_targets() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {target}" in listed for target in ("run", "test", "test-all", "check", "bench-%", "help"))


# --- formats ----------------------------------------------------------------------------------------------------------


def test_every_suffix_that_is_read_is_documented_and_no_other() -> None:
    from rag.load import READERS

    read = (ROOT / "docs" / "formats.md").read_text("utf-8").partition("## Read")[2].partition("## Written")[0]
    cells = [line.split("|")[1] for line in read.splitlines() if line.startswith("| `.")]
    assert set(re.findall(r"`(\.\w+)`", " ".join(cells))) == set(READERS)


def test_every_table_of_the_catalogue_is_documented(shared_library: Library) -> None:
    told = re.findall(r"`(\w+)`", (ROOT / "docs" / "formats.md").read_text("utf-8"))
    tables = shared_library._catalogue.db.execute(
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'"
    )
    assert {name for (name,) in tables} - set(told) == set()


def test_an_exported_judgement_has_the_documented_keys() -> None:
    from inspect import getsource

    from rag import feedback

    told = (ROOT / "docs" / "formats.md").read_text("utf-8").partition("### Judgements")[2]
    assert re.findall(r'^ +"(\w+)": ', getsource(feedback.export), re.MULTILINE) == re.findall(r"`(\w+)`", told)


def test_the_documented_queue_and_bundle_have_the_keys_of_real_ones() -> None:
    from inspect import getsource

    from rag.bundle import Bundled
    from rag.judgement import Judgement
    from rag.review import QueueRow

    (row,) = documented("judgements")["judgements"]
    assert list(row["judgement"]) == [field.name for field in dataclasses.fields(Judgement)]
    fields = [field.name for field in dataclasses.fields(QueueRow)]
    assert set(row) == {*fields, "becomes"} - {"route"}
    assert list(documented("bundle")) == [field.name for field in dataclasses.fields(Bundled)]
    told = (ROOT / "docs" / "judgements.md").read_text("utf-8")
    from rag import bundle, feedback, training_rows

    written = re.findall(r'^ +"(\w+)": ', getsource(training_rows), re.MULTILINE)
    assert set(written) <= set(re.findall(r"`(\w+)`", told)) | {"teaches", "near"}
    assert all(f"`{reason}`" in told for reason in feedback.REASONS)
    reasons = re.findall(r'reason(?:, at)? = "([a-z ]+)"', getsource(bundle))
    assert all(f"`{reason}`" in told for reason in [*reasons, *bundle._GRAVITY])

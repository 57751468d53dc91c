"""Every format gives the same text: headings, list items, rows that name their columns; offsets are exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag import load
from rag.chunk import chunk
from rag.clean import draft
from rag.load import html, markdown, rst
from rag.types import Draft, Page
from tests import formats


@pytest.fixture(params=sorted(formats.MAKERS))
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return made(request.param, tmp_path)


def made(suffix: str, folder: Path) -> Path:
    path = folder / f"leave{suffix}"
    formats.MAKERS[suffix](path)
    return path


def read(path: Path) -> Draft:
    return draft(load.pages(path), title=path.stem)


def test_every_passage_of_every_format_stands_where_it_says(file: Path) -> None:
    text = read(file)
    passages = chunk(text, size=120)
    assert passages
    for passage in passages:
        assert text.text[passage.start : passage.end] == passage.text
        span = next(s for s in text.pages if s.start <= passage.start < s.end)
        assert (passage.page, passage.end <= span.end) == (span.number, True)


def test_every_format_keeps_its_words(file: Path) -> None:
    text = " ".join(read(file).text.split())
    assert ("accrue paid leave from their first day" in text) or file.suffix in (".csv", ".xlsx")
    assert "track()" not in text
    assert "Home" not in text
    assert "Confidential" not in text


@pytest.mark.parametrize("suffix", formats.WITH_TABLE)
def test_every_row_of_a_table_names_its_columns(suffix: str, tmp_path: Path) -> None:
    rows = [line for line in read(made(suffix, tmp_path)).text.split("\n") if "two months" in line]
    assert len(rows) == 1
    assert "Days: 30" in rows[0]
    assert "Notice: two months" in rows[0]
    assert "one month" not in rows[0]


@pytest.mark.parametrize("suffix", [".md", ".html", ".rst", ".docx", ".odt"])
def test_the_heading_path_leads_to_a_table_and_the_headings_are_no_text(suffix: str, tmp_path: Path) -> None:
    passages = chunk(read(made(suffix, tmp_path)), size=300)
    last = next(passage for passage in passages if "two months" in passage.text)
    assert last.headings == ("Leave", "Asking", "Grades")
    assert not any(passage.text.lstrip().startswith("#") for passage in passages)


@pytest.mark.parametrize("suffix", [".md", ".html", ".rst", ".docx"])
def test_numbered_steps_stay_numbered_and_with_their_lead_in(suffix: str, tmp_path: Path) -> None:
    passages = chunk(read(made(suffix, tmp_path)), size=300)
    steps = next(passage.text for passage in passages if "Open the calendar" in passage.text)
    assert steps.endswith("Steps:\n\n1. Open the calendar\n2. Pick the days\n3. Ask your lead")


def test_slides_are_pages_and_their_notes_are_read(tmp_path: Path) -> None:
    text = read(made(".pptx", tmp_path))
    assert [span.number for span in text.pages] == [1, 2]
    notes = next(passage for passage in chunk(text) if "Ask early" in passage.text)
    assert (notes.page, notes.headings) == (2, ("leave", "Grades"))


def test_a_sheet_is_a_heading_and_its_numbers_look_as_in_the_sheet(tmp_path: Path) -> None:
    text = read(made(".xlsx", tmp_path)).text
    assert text.startswith("## Grades\n\nLeave by grade\n\nGrade: A | Days: 25 | Notice: one month | Share: 25%")


def test_a_mail_has_a_head_and_its_attachment_is_read(tmp_path: Path) -> None:
    text = read(made(".eml", tmp_path))
    assert text.title == "Leave"
    assert "From: people@example.org\nTo: all@example.org\nDate: 2026-11-02 09:30" in text.text
    table = next(passage for passage in chunk(text) if "Days: 25" in passage.text)
    assert table.headings == ("Leave", "Attachment: grades.csv")


def test_an_attachment_without_a_reader_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(
        b"Subject: Song\nMIME-Version: 1.0\nContent-Type: audio/midi\nContent-Disposition: attachment; filename=a.mid\n\nxx"
    )
    assert read(path).notes == (
        "attachment a.mid was not read: no reader for it; save it in a readable format and add it by itself",
    )


def test_the_chapters_of_a_book_come_in_the_order_of_its_spine(tmp_path: Path) -> None:
    text = read(made(".epub", tmp_path)).text
    assert text.startswith("# Leave\n\n## Accrual")
    assert text.index("Accrual") < text.index("Grades")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_text_is_read_in_its_own_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    words = "Die Kündigungsfrist für Büroräume beträgt drei Monate, für Häuser sechs. Größere Änderungen brauchen Zeit."
    path.write_bytes((words * 4).encode(encoding))
    assert read(path).text.startswith(words)


def test_japanese_tables_in_their_old_encoding_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("名前,年齢,住所\n佐藤太郎,30,東京\n三木英子,25,大阪\n髙橋淳,35,名古屋".encode("cp932"))
    assert "名前: 三木英子 | 年齢: 25 | 住所: 大阪" in read(path).text


def test_wrapped_lines_are_one_paragraph_again(tmp_path: Path) -> None:
    assert "It is granted in the year it accrues." in read(made(".txt", tmp_path)).text


def test_markdown_loses_its_marks_and_keeps_its_code() -> None:
    text = markdown.to_text(
        '---\ntitle: Build\n---\n# Build\n\nSee **[the docs](https://x.org)** in {% channel "help" %}, '
        'use `make`<!-- no -->.{% page "/x/" %}\n\n'
        "```sh\n# not a heading\nmake {{ target }}\n```\n\n- one\n  - two <TOKEN>\n\nTerm\n: its meaning\n"
    )
    assert text == (
        "# Build\n\nSee the docs in #help, use make.\n\n    # not a heading\n    make {{ target }}\n\n"
        "- one\n  - two <TOKEN>\n- Term: its meaning"
    )
    passages = chunk(draft([Page(None, text)], title="x"))
    assert all("not a heading" not in " ".join(passage.headings) for passage in passages)


def test_template_pages_are_read_as_the_markdown_in_them(tmp_path: Path) -> None:
    path = tmp_path / "alerts.html.md.erb"
    path.write_text(
        "---\ntitle: Alerts\n---\n# <%= current_page.data.title %>\n\n<% if x %>\nPage *someone*.\n<% end %>\n"
    )
    assert read(path).text == "# Alerts\n\nPage someone."


def test_html_tables_repeat_merged_cells_and_powers_stay_powers() -> None:
    text = html.to_text(
        "<table><tr><th>Year<th>Site</tr><tr><td rowspan=2>2026<td>Rome<tr><td>Oslo<br>Bergen</table>"
        "<p># of staff: 10<sup>3</sup></p>"
    )
    assert text == "Year: 2026 | Site: Rome\nYear: 2026 | Site: Oslo; Bergen\n\n # of staff: 10^3"
    assert chunk(draft([Page(None, text)], title="t"))[0].headings == ("t",)


def test_a_definition_list_keeps_terms_with_their_meanings() -> None:
    assert html.to_text("<dl><dt>PTO<dd>Paid time off<dt>RTO<dd>Return</dl>") == "- PTO: Paid time off\n- RTO: Return"


def test_rst_directives_links_and_code_are_reduced() -> None:
    text = rst.to_text(
        "Guide\n*****\n\n.. contents::\n\n.. warning:: Be *careful* with ``rm``.\n\nRun::\n\n   make\n\n`Site <http://a.b>`_\n"
    )
    assert text == "# Guide\n\nWarning: Be careful with rm.\n\nRun:\n\n    make\n\nSite"


def test_word_counts_its_lists_and_skips_deleted_text(tmp_path: Path) -> None:
    import docx
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    document = docx.Document()
    document.add_heading("Terms", 1)
    paragraph = document.add_paragraph("Notice is ")
    for tag, inner, words in (("del", "delText", "one month"), ("ins", "t", "two months")):
        paragraph._p.append(parse_xml(f"<w:{tag} {nsdecls('w')}><w:r><w:{inner}>{words}</w:{inner}></w:r></w:{tag}>"))
    for style, words in (("List Number", "First"), ("List Bullet", "Point"), ("List Number", "Second")):
        document.add_paragraph(words, style=style)
    path = tmp_path / "terms.docx"
    document.save(str(path))
    assert read(path).text == "# Terms\n\nNotice is two months\n\n1. First\n- Point\n2. Second"


def test_json_lines_and_nested_values_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"site": "Rome", "floors": 3}\n{"site": "Oslo", "floors": 5}\n')
    assert read(path).text == "site: Rome | floors: 3\nsite: Oslo | floors: 5"

"""Small files of every format, made on the spot: one handbook page with a list, a table and a section."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

ROWS = [["Grade", "Days", "Notice"], ["A", "25", "one month"], ["B", "30", "two months"]]
PARAGRAPH = "Full-time staff accrue paid leave from their first day. It is granted in the year it accrues."
STEPS = ["Open the calendar", "Pick the days", "Ask your lead"]


def markdown(path: Path) -> None:
    """With front matter, a comment and a table."""
    path.write_text(
        "---\ntitle: Leave\n---\n<!-- draft -->\n"
        f"{PARAGRAPH}\n\n## Asking\n\nSteps:\n\n"
        + "".join(f"1. {step}\n" for step in STEPS)
        + "\n### Grades\n\n| Grade | Days | Notice |\n|---|---|---|\n| A | 25 | one month |\n| B | 30 | two months |\n"
    )


def html(path: Path) -> None:
    """With a menu, a script and a footer around the content."""
    cells = "".join("<tr>" + "".join(f"<{'th' if n == 0 else 'td'}>{c}" for c in row) for n, row in enumerate(ROWS))
    items = "".join(f"<li>{step}</li>" for step in STEPS)
    path.write_text(
        "<html><head><title>Leave</title><style>p {}</style></head><body><nav>Home | Search</nav>"
        f"<h1>Leave</h1><p>{PARAGRAPH}</p><script>track()</script><h2>Asking</h2><p>Steps:</p><ol>{items}</ol>"
        f"<h3>Grades</h3><table>{cells}</table><footer>Imprint</footer></body></html>"
    )


def plain(path: Path) -> None:
    """Hard-wrapped lines."""
    path.write_text(
        "Leave\n\nFull-time staff accrue paid leave from their first day. It is\ngranted in the year it accrues.\n"
    )


def rst(path: Path) -> None:
    """With roles, a directive and a simple table."""
    path.write_text(
        f"Leave\n=====\n\n{PARAGRAPH}\n\nAsking\n------\n\nSee :ref:`the form <form>`. Steps:\n\n"
        + "".join(f"#. {step}\n" for step in STEPS)
        + "\nGrades\n~~~~~~\n\n=====  ====  ==========\nGrade  Days  Notice\n=====  ====  ==========\n"
        "A      25    one month\nB      30    two months\n=====  ====  ==========\n\n.. note:: Ask early.\n"
    )


def csv(path: Path) -> None:
    """Semicolons, as office programs write in half of Europe."""
    path.write_text("\n".join(";".join(row) for row in ROWS))


def json(path: Path) -> None:
    """A list of objects below a name."""
    path.write_text(
        '{"title": "Leave", "policy": {"text": "' + PARAGRAPH + '"}, "grades": '
        '[{"Grade": "A", "Days": 25, "Notice": "one month"}, {"Grade": "B", "Days": 30, "Notice": "two months"}]}'
    )


def eml(path: Path) -> None:
    """A mail with a table attached."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Leave", "people@example.org", "all@example.org"
    message["Date"] = "Mon, 02 Nov 2026 09:30:00 +0000"
    message.set_content(PARAGRAPH)
    message.add_attachment("\n".join(",".join(row) for row in ROWS).encode(), "text", "csv", filename="grades.csv")
    path.write_bytes(bytes(message))


def docx(path: Path) -> None:
    """With a style for each heading, Word's own numbering, and a table with a header row."""
    import docx as library

    document = library.Document()
    document.add_heading("Leave", 0)
    document.add_paragraph(PARAGRAPH)
    document.add_heading("Asking", 1)
    document.add_paragraph("Steps:")
    for step in STEPS:
        document.add_paragraph(step, style="List Number")
    document.add_heading("Grades", 2)
    table = document.add_table(rows=0, cols=3)
    for row in ROWS:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    document.sections[0].header.paragraphs[0].text = "Confidential"
    document.save(str(path))


def pptx(path: Path) -> None:
    """Two slides; the second has a table and notes."""
    import pptx as library
    from pptx.util import Inches

    deck = library.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "Leave"
    first.placeholders[1].text = PARAGRAPH
    second = deck.slides.add_slide(deck.slide_layouts[5])
    second.shapes.title.text = "Grades"
    table = second.shapes.add_table(3, 3, Inches(1), Inches(2), Inches(6), Inches(2)).table
    for y, row in enumerate(ROWS):
        for x, text in enumerate(row):
            table.cell(y, x).text = text
    second.notes_slide.notes_text_frame.text = "Ask early."
    deck.save(str(path))


def xlsx(path: Path) -> None:
    """A title, a blank row, a table with formats."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Grades"
    sheet.append(["Leave by grade"])
    sheet.append([])
    for row in [["Grade", "Days", "Notice", "Share"], ["A", 25, "one month", 0.25], ["B", 30, "two months", 0.75]]:
        sheet.append(row)
    for cell in sheet["D"]:
        cell.number_format = "0%"
    book.save(path)


_OFFICE = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
_TEXT = 'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
_TABLE = 'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'


def odt(path: Path) -> None:
    """The smallest OpenDocument text."""
    items = "".join(f"<text:list-item><text:p>{step}</text:p></text:list-item>" for step in STEPS)
    rows = "".join(
        "<table:table-row>"
        + "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in row)
        + "</table:table-row>"
        for row in ROWS
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr(
            "content.xml",
            f"<office:document-content {_OFFICE} {_TEXT} {_TABLE}><office:body><office:text>"
            f'<text:h text:outline-level="1">Leave</text:h><text:p>{PARAGRAPH}</text:p>'
            f'<text:h text:outline-level="2">Asking</text:h><text:p>Steps:</text:p><text:list>{items}</text:list>'
            f'<text:h text:outline-level="3">Grades</text:h><table:table>{rows}</table:table>'
            "</office:text></office:body></office:document-content>",
        )


def epub(path: Path) -> None:
    """Two chapters whose files are named against their order."""
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        "<dc:title>Leave</dc:title></metadata><manifest>"
        '<item id="a" href="z.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="b" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in ROWS)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="book/package.opf"/></rootfiles></container>',
        )
        archive.writestr("book/package.opf", package)
        archive.writestr("book/z.xhtml", f"<html><body><h2>Accrual</h2><p>{PARAGRAPH}</p></body></html>")
        archive.writestr("book/a.xhtml", f"<html><body><h2>Grades</h2><table>{rows}</table></body></html>")


def pdf(path: Path) -> None:
    """Three pages with a running header, a table and a list."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen import canvas

    page = canvas.Canvas(str(path), pagesize=A4)
    for number in (1, 2, 3):
        page.setFont("Helvetica", 8)
        page.drawString(60, 810, f"Example Ltd. Staff handbook {number}")
        page.setFont("Helvetica-Bold", 18)
        page.drawString(60, 760, ("Leave", "Asking", "Grades")[number - 1])
        page.setFont("Helvetica", 11)
        if number == 1:
            page.drawString(
                60, 730, "Full-time staff accrue paid leave from their first day. It is granted in the year it"
            )
            page.drawString(60, 716, "accrues.")
        elif number == 2:
            for line, step in enumerate(STEPS):
                page.drawString(60, 730 - 16 * line, f"{line + 1}. {step}")
        else:
            for y, row in enumerate(ROWS):
                page.drawString(60, 730 - 16 * y, row[0])
                page.drawRightString(300, 730 - 16 * y, row[1])
                page.drawString(400, 730 - 16 * y, row[2])
        page.showPage()
    page.save()


MAKERS: dict[str, Callable[[Path], None]] = {
    ".md": markdown,
    ".html": html,
    ".txt": plain,
    ".rst": rst,
    ".csv": csv,
    ".json": json,
    ".eml": eml,
    ".docx": docx,
    ".pptx": pptx,
    ".xlsx": xlsx,
    ".odt": odt,
    ".epub": epub,
    ".pdf": pdf,
}
WITH_TABLE = sorted(set(MAKERS) - {".txt"})


def docx_free(path: Path) -> None:
    """A zip that passes for a Word file until it is opened; made without the library."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<document/>")

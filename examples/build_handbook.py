"""Build the binary files of the example handbook from the texts in `source/`.

    source/**/*.md  ─► .pdf (most chapters) or .docx (those in DOCX)
    source/**/*.csv ─► .xlsx, one sheet per file: WORKBOOK.SHEET-TITLE.csv
    source/**/*.txt ─► .pdf that is only a picture of the text, slightly turned and noisy, as a scanner gives it

Takes   an optional output folder; without one it writes into `examples/handbook`.
Gives   the same bytes each time on one machine: dates, identifiers and noise are fixed.
Refuses Markdown beyond headings, paragraphs, two kinds of lists and tables: it names the file and the line.
Needs   reportlab, python-docx, openpyxl and pillow, which the product itself does not all need.

The Markdown and HTML files of the handbook are written by hand and are not touched.

    python examples/build_handbook.py [FOLDER]
"""

from __future__ import annotations

import csv
import io
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docx
import numpy as np
import openpyxl
import reportlab
from docx.oxml import OxmlElement
from openpyxl.styles import Font
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from reportlab import platypus
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

EXAMPLES = Path(__file__).resolve().parent
SOURCE = EXAMPLES / "source"
HANDBOOK = EXAMPLES / "handbook"
COMPANY = "Tarnfell Instruments"
DOCX = {"people/onboarding", "people/pay-and-benefits", "people/remote-work", "finance/purchasing"}
STAMP = datetime(2025, 2, 3, 9, 0, tzinfo=UTC)  # written into every file instead of the time of building
SCAN_DPI = 200
SCAN_DEGREES = 0.7  # how far the page lay askew on the glass


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a source text. `kind` is heading, text, bullets, steps or table."""

    kind: str
    level: int = 0  # of a heading, from 1
    lines: tuple[str, ...] = ()  # the heading, the paragraph, or one line per list item
    rows: tuple[tuple[str, ...], ...] = ()  # of a table, the header first


def build(folder: Path) -> list[Path]:
    """Write every built file into `folder` and return the paths, sorted."""
    made: dict[str, bytes] = {}
    workbooks: dict[str, list[Path]] = {}
    for path in sorted(SOURCE.rglob("*")):
        name = path.relative_to(SOURCE).with_suffix("").as_posix()
        if path.suffix == ".md":
            blocks = list(parse(path.read_text(encoding="utf-8"), path.name))
            suffix = ".docx" if name in DOCX else ".pdf"
            made[name + suffix] = word_bytes(blocks) if name in DOCX else pdf_bytes(blocks)
        elif path.suffix == ".txt":
            made[name + ".pdf"] = scan_bytes(path.read_text(encoding="utf-8"))
        elif path.suffix == ".csv":
            workbooks.setdefault(name.rpartition(".")[0], []).append(path)
    made.update({f"{name}.xlsx": sheet_bytes(paths) for name, paths in workbooks.items()})
    for name, data in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return sorted(folder / name for name in made)


# --- source text ------------------------------------------------------------------------------------------------------


def parse(text: str, name: str) -> Iterator[Block]:
    """The blocks of a Markdown text. `name` is for messages."""
    for stretch in re.split(r"\n\s*\n", text.strip()):
        lines = tuple(stretch.split("\n"))
        if heading := re.fullmatch(r"(#{1,4}) (.+)", stretch):
            yield Block("heading", level=len(heading[1]), lines=(heading[2],))
        elif all(line.startswith("- ") for line in lines):
            yield Block("bullets", lines=tuple(line[2:] for line in lines))
        elif all(re.match(r"\d+\. ", line) for line in lines):
            yield Block("steps", lines=tuple(line.partition(". ")[2] for line in lines))
        elif all(line.startswith("|") for line in lines):
            rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
            yield Block("table", rows=(rows[0], *rows[2:]))
        elif len(lines) == 1 and not re.match(r"[#|>]|```", stretch):
            yield Block("text", lines=lines)
        else:
            raise ValueError(f"{name}: cannot build {lines[0]!r}; use headings, one-line paragraphs, lists or tables")


# --- PDF --------------------------------------------------------------------------------------------------------------

BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=11, leading=15.5, spaceAfter=8)
CELL = ParagraphStyle("cell", parent=BODY, fontSize=10, leading=13, spaceAfter=0)
HEADER_CELL = ParagraphStyle("header-cell", parent=CELL, fontName="Helvetica-Bold")
ITEM = ParagraphStyle("item", parent=BODY, leftIndent=20, bulletIndent=3, bulletFontSize=11, spaceAfter=4)
HEADING_SIZES = {1: 22, 2: 15, 3: 12}
PRINT_WIDTH = A4[0] - 50 * mm - 12  # points between the margins; a frame keeps 6 of its own on each side
LINES = ("GRID", (0, 0), (-1, -1), 0.5, colors.grey)
GRID = platypus.TableStyle(
    [LINES, ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke), ("VALIGN", (0, 0), (-1, -1), "TOP")]
)


class Chapter(platypus.BaseDocTemplate):  # type: ignore[misc]  # reportlab has no types
    """A PDF with a running header, page numbers and an outline."""

    def __init__(self, target: io.BytesIO, title: str) -> None:
        super().__init__(target, pagesize=A4, invariant=1, title=title, author=COMPANY, lang="en")
        frame = platypus.Frame(25 * mm, 25 * mm, A4[0] - 50 * mm, A4[1] - 52 * mm, id="body")
        self.addPageTemplates(platypus.PageTemplate(frames=[frame], onPage=self.furniture))

    def furniture(self, canvas: Canvas, _: Any) -> None:
        """The running header and the page number."""
        canvas.setFont("Helvetica", 8.5)
        canvas.drawString(25 * mm + 6, A4[1] - 16 * mm, f"{COMPANY} · {self.title}")
        canvas.drawCentredString(A4[0] / 2, 14 * mm, f"Page {canvas.getPageNumber()}")

    def afterFlowable(self, flowable: platypus.Flowable) -> None:  # noqa: N802  # reportlab's name
        """Each heading becomes an entry of the outline."""
        level = getattr(flowable, "outline_level", None)
        if level is not None:
            key = f"heading-{self.seq.nextf('heading')}"
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(flowable.getPlainText(), key, level)


def pdf_bytes(blocks: list[Block]) -> bytes:
    """A chapter as PDF."""
    target = io.BytesIO()
    Chapter(target, blocks[0].lines[0]).build([flowable for block in blocks for flowable in flowables(block)])
    return target.getvalue()


def flowables(block: Block) -> Iterator[platypus.Flowable]:
    """One block as reportlab draws it."""
    if block.kind == "heading":
        heading = platypus.Paragraph(block.lines[0], heading_style(HEADING_SIZES[block.level]))
        heading.outline_level = block.level - 1
        yield heading
    elif block.kind == "table":
        rows = [
            [platypus.Paragraph(cell, CELL if number else HEADER_CELL) for cell in row]
            for number, row in enumerate(block.rows)
        ]
        columns = zip(*([(cell.text, cell.style) for cell in row] for row in rows), strict=True)
        widths = [
            13 + max(stringWidth(text, style.fontName, style.fontSize) for text, style in column) for column in columns
        ]
        fitting = widths if sum(widths) < PRINT_WIDTH else None
        yield platypus.Table(rows, fitting, style=GRID, repeatRows=1, hAlign="LEFT")
        yield platypus.Spacer(1, 10)
    elif block.kind == "text":
        yield platypus.Paragraph(block.lines[0], BODY)
    else:
        marks = (f"{number}." if block.kind == "steps" else "•" for number in range(1, len(block.lines) + 1))
        items = [platypus.Paragraph(line, ITEM, bulletText=mark) for line, mark in zip(block.lines, marks, strict=True)]
        # Instructions are read at a bench: they do not go across two pages.
        yield platypus.KeepTogether([*items, platypus.Spacer(1, 4)])


def heading_style(size: int) -> ParagraphStyle:
    """Bold, with room in proportion, never alone at the foot of a page."""
    space = {"spaceBefore": size * 0.7, "spaceAfter": size * 0.4, "leading": size * 1.25}
    return ParagraphStyle("heading", fontName="Helvetica-Bold", fontSize=size, keepWithNext=True, **space)


def scan_bytes(text: str) -> bytes:
    """A PDF of one page that holds a picture of `text` and no letter that a program could copy."""
    width, height = (round(side / 72 * SCAN_DPI) for side in A4)
    page = Image.new("L", (width, height), 244)
    draw = ImageDraw.Draw(page)
    fonts = Path(reportlab.__file__).parent / "fonts"  # Bitstream Vera lies beside reportlab: no font of the system
    normal = ImageFont.truetype(fonts / "Vera.ttf", 44)
    bold = ImageFont.truetype(fonts / "VeraBd.ttf", 52)
    for number, line in enumerate(text.splitlines()):
        draw.text((170, 190 + number * 62), line, fill=30, font=bold if number < 4 else normal)
    page = page.rotate(SCAN_DEGREES, resample=Image.Resampling.BICUBIC, fillcolor=238)
    page = page.filter(ImageFilter.GaussianBlur(0.8))
    noise = np.random.default_rng(7).normal(0, 7, (height, width))
    page = Image.fromarray(np.clip(np.asarray(page) + noise, 0, 255).astype(np.uint8))
    picture = io.BytesIO()
    page.save(picture, "JPEG", quality=28)
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4, invariant=1)
    canvas.setTitle("Scan")
    canvas.drawImage(ImageReader(picture), 0, 0, *A4)
    canvas.save()
    return target.getvalue()


# --- DOCX and XLSX ----------------------------------------------------------------------------------------------------


def word_bytes(blocks: list[Block]) -> bytes:
    """A chapter as DOCX."""
    document = docx.Document()
    properties = document.core_properties
    properties.title, properties.author = blocks[0].lines[0], COMPANY
    properties.created = properties.modified = STAMP
    for block in blocks:
        if block.kind == "heading":
            document.add_heading(block.lines[0], level=block.level)
        elif block.kind == "text":
            document.add_paragraph(block.lines[0])
        elif block.kind == "table":
            word_table(document, block.rows)
        else:
            numbering = new_numbering(document) if block.kind == "steps" else None
            for line in block.lines:
                item = document.add_paragraph(line, style="List Number" if numbering else "List Bullet")
                if numbering:
                    item._p.get_or_add_pPr().get_or_add_numPr().get_or_add_numId().val = numbering
    target = io.BytesIO()
    document.save(target)
    return dateless(target.getvalue())


def word_table(document: Any, rows: tuple[tuple[str, ...], ...]) -> None:
    """A table whose first row is marked as its header."""
    table = document.add_table(rows=0, cols=len(rows[0]), style="Table Grid")
    for number, row in enumerate(rows):
        cells = table.add_row().cells
        for cell, text in zip(cells, row, strict=True):
            cell.paragraphs[0].add_run(text).bold = number == 0
    table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    document.add_paragraph()


def new_numbering(document: Any) -> int:
    """The id of a numbered list that begins at 1; without it Word goes on counting from the list before."""
    numbering = document.part.numbering_part.element
    style = document.styles["List Number"].element.pPr.numPr.numId.val
    template = numbering.num_having_numId(style).abstractNumId.val
    added = numbering.add_num(template)
    added.add_lvlOverride(ilvl=0).add_startOverride(1)
    return int(added.numId)


def sheet_bytes(paths: list[Path]) -> bytes:
    """A workbook with one sheet per CSV file; the first row is the header."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    book.properties.creator, book.properties.created = COMPANY, STAMP.replace(tzinfo=None)
    for path in paths:
        title = path.stem.rpartition(".")[2].replace("-", " ").capitalize()
        sheet = book.create_sheet(title)
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.reader(lines):
                sheet.append([number_or_text(cell) for cell in row])
        for column in sheet.columns:
            column[0].font = Font(bold=True)
            sheet.column_dimensions[column[0].column_letter].width = 2 + max(len(str(cell.value)) for cell in column)
        sheet.freeze_panes = "A2"
    target = io.BytesIO()
    book.save(target)
    return dateless(target.getvalue())


def number_or_text(cell: str) -> int | float | str:
    """Numbers become numbers, so that the sheet can be sorted and summed."""
    if re.fullmatch(r"\d+", cell):
        return int(cell)
    return float(cell) if re.fullmatch(r"\d+\.\d+", cell) else cell


def dateless(data: bytes) -> bytes:
    """The same zip file with the dates of its members and of its last change fixed."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename == "docProps/core.xml":
                stamp = STAMP.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            entry = zipfile.ZipInfo(member.filename, date_time=(2025, 2, 3, 9, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, content)
    return target.getvalue()


if __name__ == "__main__":
    for file in build(Path(sys.argv[1]) if len(sys.argv) > 1 else HANDBOOK):
        print(f"{file.stat().st_size:>9,} {file}")

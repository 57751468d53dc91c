"""HTML becomes plain text; Markdown, mail and e-books come through here as well.

Takes   a path, or markup as a string.
Gives   one Page without a number. Headings, lists, definition lists, tables and code keep their structure; menus,
        scripts, hidden parts and page furniture go; where the page marks its main part, only that is read.
Refuses only thousands of elements inside each other (LoadError): else every string is HTML, as it is to a browser.

The tree is walked with a list of open elements, not by recursion: nesting depth is bounded by memory, not by the stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag.errors import LoadError, need
from rag.load import rows
from rag.load.text import decode, unwrap
from rag.types import Page

DROPPED = frozenset(
    "script style noscript template svg math iframe object embed video audio canvas map head title link meta "
    "button select option textarea input datalist dialog nav".split()
)
BLOCKS = frozenset(
    "p div section article main header footer aside blockquote figure figcaption details summary address form fieldset "
    "legend center body html hr table thead tbody tfoot tr td th caption ul ol li dl dt dd pre h1 h2 h3 h4 h5 "
    "h6".split()
)
_FURNITURE = (
    "[hidden], [aria-hidden=true], [role=navigation], [style*='display:none'], [style*='display: none'], "
    ".mw-editsection, .headerlink, .navbox, .printfooter, li:has(> a[hreflang])"
)
_SPACE = re.compile(r"[ \t\n\r\f\v]+")
_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]{0,20})[^>]{0,2000}?(?<!/)>")
_CLOSED_BY_THE_NEXT = frozenset(
    "p li dt dd td th tr tbody thead tfoot option colgroup area base br col hr img input link meta source track wbr "
    "html head body embed param".split()
)
_NUMBERED = re.compile(r"\d{1,3}[.)] ")
_DEPTH = 3_000
_DEEPEST_LIST = 10  # levels that still show as indentation
_LONGEST_CODE = 20_000  # characters
_MAIN_SHARE = 0.3  # a `main` element that holds less of the page's words than this is decoration
_INDENT = "  "


def pages(path: Path) -> Iterator[Page]:
    """Read one HTML file."""
    data = path.read_bytes()
    declared = _META_CHARSET.search(data[:4096])
    yield Page(None, to_text(decode(data, path.name, declared=declared[1].decode("ascii") if declared else None)))


def to_text(markup: str, *, without: str = "") -> str:
    """Reduce markup to the text convention of `rag.load`. The page's <title> heads it where it has no first heading.

    `without` selects further elements that are left out.
    """
    lexbor = need("selectolax.lexbor", extra="formats", task="Reading HTML")
    _check_depth(markup)
    parser = lexbor.LexborHTMLParser(markup)
    title = rows.cell(parser.css_first("title").text()) if parser.css_first("title") else ""
    for node in parser.css(f"{_FURNITURE}, {without}" if without else _FURNITURE):
        node.decompose()
    if parser.body is None:
        return ""
    text = _Writer().write(_main(parser))
    if title and not re.search(r"^# ", text, re.MULTILINE):
        return f"# {title}\n\n{text}"
    return text


def _check_depth(markup: str) -> None:
    """Every open element costs the parser time at each further tag: 200,000 of them would take minutes."""
    depth = 0
    for closing, tag in _TAG.findall(markup):
        if tag.lower() not in _CLOSED_BY_THE_NEXT:
            depth = max(0, depth - 1) if closing else depth + 1
            if depth > _DEPTH:
                raise LoadError(
                    f"the markup opens more than {_DEPTH:,} elements inside each other; save the page again"
                )


def _main(parser: Any) -> Any:
    """The element that holds the content."""
    body = parser.body
    whole = len(body.text())
    for selector in ("main", "[role=main]", "article"):
        found = parser.css(selector)
        if len(found) == 1 and len(found[0].text()) >= _MAIN_SHARE * whole:
            return found[0]
    if parser.css_first("h1") is not None:  # a footer closes a site, not a letter
        for node in parser.css("body > footer"):
            node.decompose()
    return body


class _Writer:
    """Collects inline text until a block ends, then writes the block where lists and indentation want it."""

    def __init__(self) -> None:
        self.blocks: list[str] = []  # finished; joined by a blank line
        self.inline: list[str] = []  # of the block that is open
        self.items: list[str] = []  # lines of the outermost list that is open
        self.lists: list[list[Any]] = []  # open lists: [kind, next number, marker not yet written]
        self.term = ""  # of a definition list, until its definition comes
        self.heading = 0  # level of the heading that is open

    def write(self, root: Any) -> str:
        """Walk the element in document order."""
        todo: list[tuple[Any, bool]] = [(root, False)]
        while todo:
            node, leaving = todo.pop()
            tag = node.tag
            if leaving:
                self.leave(tag)
            elif tag == "-text":
                self.inline.append(node.text_content or "")
            elif tag == "br":
                self.inline.append("\0")
            elif tag == "pre" and len(node.text()) > _LONGEST_CODE:  # a text file that was put on a page as it was
                self.flush()
                self.blocks.extend(block for block in unwrap(node.text()).split("\n\n") if block.strip())
            elif tag == "pre":
                self.code(node.text())
            elif tag == "table" and not _is_layout(node):
                self.table(node)
            elif tag in ("sup", "sub"):
                self.inline.append(_raised(node.text(), "".join(self.inline[-1:])))
            elif tag not in DROPPED and not tag.startswith(("-", "_", "!")):
                self.enter(node, tag)
                todo.append((node, True))
                todo.extend((child, False) for child in reversed(list(node.iter(include_text=True))))
        self.flush()
        self.close_list()
        return "\n\n".join(self.blocks)

    def enter(self, node: Any, tag: str) -> None:
        """An element opens."""
        if tag not in BLOCKS:
            return
        self.flush()
        if tag in ("ul", "ol", "dl"):
            start = node.attributes.get("start") or ""
            self.lists.append([tag, int(start) if start.isdigit() and len(start) < 9 else 1, ""])
        elif tag == "dd" and self.lists:
            self.lists[-1][2] = f"- {self.term}: " if self.term else "- "
            self.term = ""
        elif tag == "li":
            if not self.lists:
                self.lists.append(["li", 1, ""])
            kind, number, _ = self.lists[-1]
            self.lists[-1][2] = f"{number}. " if kind == "ol" else "- "
            self.lists[-1][1] = number + 1
        elif tag[0] == "h" and tag[1:].isdigit():
            self.heading = int(tag[1:])

    def leave(self, tag: str) -> None:
        """An element closes."""
        if tag == "dt" and self.lists:  # its words wait for the definition
            self.term = ", ".join(part for part in (self.term, self.taken()) if part)
            return
        if tag in BLOCKS:
            self.flush()
        if tag == "dl" and self.lists and self.term:
            self.lists[-1][2] = "- "
            self.item_lines([self.term])
            self.term = ""
        if tag in ("ul", "ol", "dl") and self.lists:
            self.lists.pop()
        elif tag in ("li", "dd") and self.lists:
            self.lists[-1][2] = ""
            if self.lists[-1][0] == "li":
                self.lists.pop()
        if not self.lists:
            self.close_list()

    def taken(self) -> str:
        """The words of the open block, spaces collapsed; forced breaks stay lines."""
        text = "".join(self.inline)
        self.inline.clear()
        lines = (_SPACE.sub(" ", line).strip() for line in text.split("\0"))
        return "\n".join(line for line in lines if line)

    def flush(self) -> None:
        """End the open block."""
        text = self.taken()
        level, self.heading = self.heading, 0
        if not text:
            return
        if self.lists:
            self.item_lines(text.split("\n"))
        elif level:
            self.blocks.append(f"{'#' * level} {text.replace(chr(10), ' ').rstrip('¶# ')}")
        else:
            self.blocks.append("\n".join(plain(line) for line in text.split("\n")))

    def item_lines(self, lines: list[str]) -> None:
        """Lines inside a list: the first one takes the marker, the others stand below its words."""
        depth = _INDENT * (min(len(self.lists), _DEEPEST_LIST) - 1)
        marker = self.lists[-1][2] or _INDENT
        if marker == "- ":
            lines[0] = lines[0].lstrip("•◦▪‣·● ") or lines[0]
            marker = "" if _NUMBERED.match(lines[0]) else marker
        self.lists[-1][2] = ""
        for line in lines:
            self.items.append(f"{depth}{marker}{line}".rstrip())
            marker = _INDENT

    def close_list(self) -> None:
        """The outermost list has ended: it is one block."""
        if self.items:
            self.blocks.append("\n".join(self.items))
            self.items.clear()

    def code(self, text: str) -> None:
        """Preformatted text, verbatim but indented, so that a comment `# ...` in it is no heading."""
        self.flush()
        lines = ["    " + line.rstrip() for line in text.strip("\n").expandtabs(4).split("\n")]
        self.append("\n".join(lines))

    def table(self, node: Any) -> None:
        """A data table: a line a row, its caption above."""
        self.flush()
        cells, header = _grid(node)
        caption = node.css_first("caption")
        lines = rows.lines(cells, header=header)
        if caption is not None and rows.cell(caption.text()):
            lines.insert(0, rows.cell(caption.text()))
        if lines:
            self.append("\n".join(lines))

    def append(self, block: str) -> None:
        """Write a finished block, inside the open list where there is one."""
        if self.lists:
            indent = _INDENT * min(len(self.lists), _DEEPEST_LIST)
            if self.lists[-1][2]:
                self.items.append((indent[2:] + self.lists[-1][2]).rstrip())
                self.lists[-1][2] = ""
            self.items.extend(indent + line for line in block.split("\n"))
        else:
            self.blocks.append(block)


def plain(line: str) -> str:
    """A line of running text: `# of staff` at its start must not read as a heading."""
    return f" {line}" if re.match(r"#{1,6} ", line) else line


def _raised(text: str, before: str) -> str:
    """10<sup>9</sup> is not 109."""
    text = text.strip()
    return f"^{text}" if before[-1:].isdigit() and text.isdigit() else text


def _is_layout(table: Any) -> bool:
    """A table used to place things: it holds another table, or never two cells side by side."""
    if table.attributes.get("role") in ("presentation", "none") or table.css_first("table table") is not None:
        return True
    return all(len(row.css("td, th")) < 2 for row in table.css("tr"))


def _grid(table: Any) -> tuple[list[list[str]], int]:
    """Cell texts with merged cells repeated, and the number of header rows (`rows.FIRST` where nothing says it)."""
    grid: list[list[str]] = []
    below: dict[int, tuple[int, str]] = {}  # column -> (rows still to cover, text): cells that reach down
    header, in_header, marked = 0, True, False
    for row in table.css("tr"):
        line: list[str] = []
        kinds: list[str] = []
        for part in row.css("td, th"):
            _reach_down(line, below)
            text = rows.cell(_cell_text(part))
            kinds.append(part.tag)
            width, height = _span(part, "colspan"), _span(part, "rowspan")
            for _ in range(width):
                if height > 1:
                    below[len(line)] = (height - 1, text)
                line.append(text)
        _reach_down(line, below)
        marked = marked or "th" in kinds
        in_header = (
            in_header
            and bool(kinds)
            and (all(kind == "th" for kind in kinds) or (row.parent is not None and row.parent.tag == "thead"))
        )
        header += in_header
        grid.append(line)
    return grid, header if marked else rows.FIRST


def _reach_down(line: list[str], below: dict[int, tuple[int, str]]) -> None:
    while len(line) in below:
        left, text = below.pop(len(line))
        if left > 1:
            below[len(line)] = (left - 1, text)
        line.append(text)


def _span(cell: Any, name: str) -> int:
    value = cell.attributes.get(name) or "1"
    return min(max(int(value), 1), 100) if value.isdigit() and len(value) < 9 else 1


def _cell_text(cell: Any) -> str:
    """The words of a cell; blocks and breaks inside it become line breaks."""
    pieces: list[str] = []
    todo = [cell]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            pieces.append(node)
        elif node.tag == "-text":
            pieces.append(_SPACE.sub(" ", node.text_content or ""))
        elif node.tag == "br":
            pieces.append("\n")
        elif node.tag not in DROPPED and not node.tag.startswith(("-", "_", "!")):
            edge = ["\n"] if node.tag in BLOCKS else []
            todo.extend([*edge, *reversed(list(node.iter(include_text=True))), *edge])
    return "".join(pieces)

"""reStructuredText becomes plain text: sections, lists, roles, directives, simple and grid tables.

Takes   text.
Gives   text in the convention of `rag.load`.
Refuses blocks inside blocks beyond any real document (LoadError).
Omitted what only a full parser knows: substitutions, nested tables, numbered footnote links. Contents of directives
        stay, except for those that hold no words (images, tables of contents).
"""

from __future__ import annotations

import re

from rag.errors import LoadError
from rag.load import rows

_DEPTH = 60  # nesting of blocks; each level reads its lines once more
_ADORNMENT = re.compile(r"([=\-`:.'\"~^_*+#<>])\1{2,}\s*")
_SILENT = frozenset(
    "contents image toctree include raw meta index highlight sectnum default-role currentmodule".split()
)
_VERBATIM = frozenset("code code-block sourcecode literalinclude parsed-literal doctest math".split())
_DIRECTIVE = re.compile(r"(\s*)\.\. ([\w:.-]+?)::(?:\s+(.*))?$")
_OPTION = re.compile(r"\s+:[\w-]+:")
_ITEM = re.compile(r"(\s*)(?:[-*+•]|(\d+|#)[.)])\s+(.*)$")
_FIELD = re.compile(r":([^:`\n]+):\s+(.*)$")
_SIMPLE_RULE = re.compile(r"=+(?: +=+)+\s*$")
_GRID_RULE = re.compile(r"\+(?:[-=]+\+)+\s*$")
_ROLE = re.compile(r":[\w:+.-]+:`([^`<]+?)(?:\s*<[^>`]*>)?`")
_LINK = re.compile(r"`([^`<]+?)\s*<[^>`]*>`__?")
_TICKS = re.compile(r"``(.+?)``|`([^`]+)`_{0,2}")
_STRONG = re.compile(r"(?<![\w*])(\*\*?)(?=\S)(.+?)(?<=\S)\1(?![\w*])")
_HIDDEN = re.compile(r"\.\. (?:_[^:]+:|\|[^|]+\||\[[^\]]+\])?")


def to_text(text: str) -> str:
    """Reduce reStructuredText to plain text."""
    source = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).split("\n")
    return "\n\n".join(block for block in _Blocks(source).read() if block.strip())


def _inline(text: str) -> str:
    text = _LINK.sub(r"\1", _ROLE.sub(r"\1", text))
    text = _TICKS.sub(lambda match: match[1] or match[2], text)
    return re.sub(r"(\w)_(?=\W|$)", r"\1", _STRONG.sub(r"\2", text)).replace("\\ ", "").strip()


class _Blocks:
    """A cursor over lines; each method takes one kind of block."""

    def __init__(self, lines: list[str], depth: int = 0) -> None:
        if depth > _DEPTH:
            raise LoadError(f"blocks nested more than {_DEPTH} deep; flatten it")
        self.lines = lines
        self.depth = depth
        self.at = 0
        self.styles: list[str] = []  # adornments in order of first use: their order is their level

    def read(self) -> list[str]:
        """All blocks, in order."""
        blocks: list[str] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if not line.strip():
                self.at += 1
            elif heading := self.heading():
                blocks.append(heading)
            elif line.lstrip().startswith(".. ") or line.strip() == "..":
                blocks.extend(self.directive())
            elif _SIMPLE_RULE.match(line) or _GRID_RULE.match(line):
                blocks.append(self.table())
            elif _ITEM.match(line):
                blocks.append(self.items())
            else:
                blocks.extend(self.paragraph())
        return blocks

    def heading(self) -> str:
        """A title with a line of punctuation below it, and perhaps above."""
        line, following = self.lines[self.at], "".join(self.lines[self.at + 1 : self.at + 2])
        over = _ADORNMENT.fullmatch(line)
        if over and following.strip() and _ADORNMENT.fullmatch("".join(self.lines[self.at + 2 : self.at + 3])):
            title, style, taken = following, over[1] * 2, 3
        elif not over and not line.startswith(" ") and (under := _ADORNMENT.fullmatch(following)):
            if len(following.rstrip()) < min(len(line.rstrip()), 4):
                return ""
            title, style, taken = line, under[1], 2
        elif over:  # a transition between paragraphs
            self.at += 1
            return " "
        else:
            return ""
        if style not in self.styles:
            self.styles.append(style)
        self.at += taken
        return f"{'#' * min(self.styles.index(style) + 1, 6)} {_inline(title)}"

    def indented(self, deeper_than: int) -> list[str]:
        """The following lines that are indented deeper (and the blank ones between them), without that indentation."""
        taken: list[str] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.strip() and len(line) - len(line.lstrip()) <= deeper_than:
                break
            taken.append(line)
            self.at += 1
        margin = min((len(line) - len(line.lstrip()) for line in taken if line.strip()), default=0)
        return "\n".join(line[margin:] for line in taken).strip("\n").split("\n")

    def directive(self) -> list[str]:
        """`.. name:: argument` with its indented content; comments and link targets vanish."""
        line = self.lines[self.at]
        self.at += 1
        found = _DIRECTIVE.match(line)
        content = self.indented(len(line) - len(line.lstrip()))
        if found is None:
            return []
        name, argument = found[2].lower(), found[3] or ""
        while content and _OPTION.match(" " + content[0]):
            content.pop(0)
        if name in _SILENT:
            return []
        if name in _VERBATIM:
            return ["\n".join("    " + line for line in content)]
        inner = _Blocks(content, self.depth + 1)
        inner.styles = self.styles
        if name in ("csv-table", "list-table"):
            return [_inline(argument), *_listed_table(name, content)]
        if name in ("note", "warning", "tip", "important", "caution", "danger", "hint", "attention", "seealso"):
            argument = f"{name.capitalize()}: {argument}"
        return [_inline(argument), *inner.read()]

    def table(self) -> str:
        """A simple table (`====  ====`) or a grid table (`+---+---+`)."""
        start = self.at
        while self.at < len(self.lines) and self.lines[self.at].strip():
            self.at += 1
        block = self.lines[start : self.at]
        if block[0].startswith("+"):
            return "\n".join(_grid(block))
        while not _SIMPLE_RULE.match(block[-1]) and self.at < len(self.lines):  # blank lines may stand between rows
            block.append(self.lines[self.at])
            self.at += 1
        return "\n".join(_simple(block))

    def items(self) -> str:
        """One list; text below an item belongs to it."""
        lines: list[str] = []
        number = 0
        while self.at < len(self.lines) and (found := _ITEM.match(self.lines[self.at])):
            self.at += 1
            inner = _Blocks(self.indented(len(found[1])), self.depth + 1)
            inner.styles = self.styles
            number = int(found[2]) if found[2] and found[2] != "#" and len(found[2]) < 9 else number + 1
            marker = f"{number}. " if found[2] else "- "
            rest = inner.lines
            first = [found[3]]
            while rest and rest[0].strip() and not _ITEM.match(rest[0]):
                first.append(rest.pop(0))
            lines.append(marker + _inline(" ".join(first)))
            lines.extend("  " + line for block in inner.read() for line in block.split("\n"))
        return "\n".join(lines)

    def paragraph(self) -> list[str]:
        """Running text; `::` at its end announces verbatim text."""
        taken: list[str] = []
        indent = len(self.lines[self.at]) - len(self.lines[self.at].lstrip())
        while self.at < len(self.lines) and self.lines[self.at].strip():
            line = self.lines[self.at]
            if taken and len(line) - len(line.lstrip()) > indent and not taken[-1].endswith("::"):
                break  # a definition: the term stands above its indented text
            taken.append(line.strip())
            self.at += 1
        if len(taken) == 1 and (field := _FIELD.match(taken[0])):
            return [f"- {field[1]}: {_inline(field[2])}"]
        if all(_FIELD.match(line) for line in taken):
            return ["\n".join(f"- {m[1]}: {_inline(m[2])}" for line in taken if (m := _FIELD.match(line)))]
        text = " ".join(line.removeprefix("| ") for line in taken)
        if text.endswith("::"):
            code = self.indented(indent)
            blocks = [_inline(text[:-2].rstrip() + ":")] if text != "::" else []
            return [*blocks, "\n".join("    " + line for line in code)]
        if self.at < len(self.lines) and self.lines[self.at].strip():
            meaning = _Blocks(self.indented(indent), self.depth + 1).read()
            return [f"- {_inline(text)}: {meaning[0] if meaning else ''}", *meaning[1:]]
        return [_inline(text)]


def _simple(block: list[str]) -> list[str]:
    starts = [match.start() for match in re.finditer(r"=+", block[0])]
    edges = list(zip(starts, [*starts[1:], None], strict=True))
    table: list[list[str]] = []
    header = 0
    for line in block[1:-1]:
        if _SIMPLE_RULE.match(line):
            header = header or len(table)
        elif line.strip() and not re.fullmatch(r"[- ]+", line):
            cells = [line[start:end].strip() for start, end in edges]
            if table and not cells[0]:  # a row goes on
                table[-1] = [f"{above} {cell}".strip() for above, cell in zip(table[-1], cells, strict=True)]
            else:
                table.append(cells)
    return rows.lines([[_inline(cell) for cell in row] for row in table], header=header)


def _grid(block: list[str]) -> list[str]:
    table: list[list[str]] = []
    fresh, header = True, 0
    for line in block:
        if _GRID_RULE.match(line):
            fresh = True
            if "=" in line:
                header = len(table)
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if fresh or len(cells) != len(table[-1]):
            table.append(cells)
            fresh = False
        else:
            table[-1] = [f"{above} {cell}".strip() for above, cell in zip(table[-1], cells, strict=True)]
    return rows.lines([[_inline(cell) for cell in row] for row in table], header=header)


def _listed_table(name: str, content: list[str]) -> list[str]:
    """`csv-table` and `list-table`: rows written as CSV, or as nested lists."""
    import csv

    if name == "csv-table":
        return ["\n".join(rows.lines(list(csv.reader(line for line in content if line.strip()))))]
    table: list[list[str]] = []
    for line in content:
        if found := re.match(r"(\*\s+)?-\s*(.*)", line.strip()):
            if found[1] or not table:
                table.append([])
            table[-1].append(_inline(found[2]))
        elif line.strip() and table and table[-1]:
            table[-1][-1] += " " + _inline(line)
    return ["\n".join(rows.lines(table))]

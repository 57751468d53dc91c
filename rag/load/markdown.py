"""Markdown becomes plain text, by way of the HTML that it stands for.

Takes   a path (`.md`, and templates such as `.html.md.erb`), or text.
Gives   one Page without a number. The title of the front matter heads the text, unless a first heading says the same.
Dropped front matter, HTML comments, template tags (Jekyll, Liquid, Hugo, ERB) and attribute lists. Words inside a
        pair of tags stay; so does the last argument of a tag that stands in a sentence, where it is not a path.
        Code blocks are kept verbatim: template tags in them are examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from rag.errors import need
from rag.load import html
from rag.load.text import decode
from rag.types import Page

_FRONT = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\n(.*?)\n(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"""^(?:page_)?title\s*[:=]\s*(["']?)(.+?)\1\s*$""", re.MULTILINE | re.IGNORECASE)
_FENCED = re.compile(
    r"^([ \t]*(?:[-*+] +|\d+[.)] +|> ?)*)(`{3,}|~{3,})[^\n]*\n.*?(?:^[ \t>]*\2[`~]*[ \t]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)
_COMMENT_TAG = re.compile(r"\{%-?[ \t]*(end)?comment[ \t]*-?%\}")
_TAG = re.compile(r"\{%-?[ \t\n]*(\w+)?([^{}]{0,1000}?)-?%\}")
_SILENT_TAGS = frozenset(
    "page link include render image image_with_class asset assign set for if unless download url".split()
)
_ATTRIBUTES = re.compile(
    r"[ \t]*\{(?:::?|#|\.)[^{}\n]*\}[ \t]*$|^\[\[?_?toc_?\]\]?[ \t]*$|^:::.*$", re.MULTILINE | re.IGNORECASE
)
_NOTE_MARK = re.compile(r"\[\^([^\]\s]+)\](:?)")
_CALLOUT = re.compile(r"^((?:[ \t]*>)+[ \t]*)\[!(\w+)\][ \t]*", re.MULTILINE)
_DEFINED = re.compile(r"^(?![ \t]|[-*+>#|]|\d+[.)])([^\n]+)\n((?::[ \t]+[^\n]+\n?)+)", re.MULTILINE)
_ARGUMENT = re.compile(r"""["']([^"']+)["']""")
_HTML_TAGS = frozenset(
    "a abbr b bdi bdo br cite code del dfn em i img ins kbd label mark q s samp small span strike strong sub sup time "
    "u var wbr font details summary div p table tr td th ul ol li dl dt dd input button svg path iframe video picture "
    "source h1 h2 h3 h4 h5 h6 hr center pre section nav object".split()
)


def pages(path: Path) -> Iterator[Page]:
    """Read one Markdown file, or a template of one."""
    text = decode(path.read_bytes(), path.name)
    if path.suffix.lower() == ".erb" and not path.stem.lower().endswith(".md"):
        yield Page(None, html.to_text(_without(text, "<%", "%>")))
    else:
        yield Page(None, to_text(text))


def to_text(text: str) -> str:
    """Reduce Markdown to the text convention of `rag.load`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    title = ""
    if front := _FRONT.match(text):
        found = _TITLE.search(front[2])
        title = found[2].strip() if found else ""
        text = text[front.end() :]
    body = html.to_text(_parser().render(_without_templates(text)))
    if title and _same_words(title) != _same_words(_first_heading(body)):
        return f"# {title}\n\n{body}"
    return body


def _first_heading(text: str) -> str:
    first = text.split("\n", 1)[0]
    return first if first.startswith("# ") else ""


def _same_words(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()


def _without_templates(text: str) -> str:
    """Template and comment syntax removed, outside code blocks only."""
    parts: list[str] = []
    done = 0
    for fence in _FENCED.finditer(text):
        parts += [_cleaned(text[done : fence.start()]), fence[0]]
        done = fence.end()
    parts.append(_cleaned(text[done:]))
    return "".join(parts)


def _cleaned(text: str) -> str:
    text = _without(_COMMENT_TAG.sub(lambda match: "-->" if match[1] else "<!--", text), "<!--", "-->")
    text = _TAG.sub(_tag_words, _without(text, "{{%", "%}}"))
    text = _without(_without(text, "<%", "%>"), "{{", "}}")
    text = _ATTRIBUTES.sub("", text)
    text = _CALLOUT.sub(lambda match: f"{match[1]}{match[2].capitalize()}: ", text)
    text = _NOTE_MARK.sub(lambda match: f"Note {match[1]}:" if match[2] else f" [{match[1]}]", text)
    return _DEFINED.sub(_definitions, text)


def _without(text: str, opening: str, closing: str) -> str:
    """Everything from each `opening` to the next `closing` removed, in linear time whatever the text."""
    kept: list[str] = []
    done = 0
    while (start := text.find(opening, done)) >= 0 and (end := text.find(closing, start + len(opening))) >= 0:
        kept.append(text[done:start])
        done = end + len(closing)
    return "".join(kept) + text[done:]


def _tag_words(match: re.Match[str]) -> str:
    """`{% channel "people-ops" %}` puts its argument into the sentence; `{% page "/leave/" %}` is a link's target."""
    arguments = _ARGUMENT.findall(match[2])
    if not arguments or not match[1] or match[1] in _SILENT_TAGS or match[1].startswith("end"):
        return ""
    words: str = arguments[-1] if len(arguments) > 1 or "channel" not in match[1] else f"#{arguments[-1].lstrip('#')}"
    return "" if "/" in words or re.search(r"\.\w{2,4}$", words) else words


def _definitions(match: re.Match[str]) -> str:
    """A definition list: `Term`, then lines that begin with a colon."""
    meanings = [line.lstrip(": \t") for line in match[2].strip("\n").split("\n")]
    return "\n".join(f"- {match[1]}: {meaning}" for meaning in meanings) + "\n"


@lru_cache(maxsize=1)
def _parser() -> Any:
    """CommonMark with tables and strike-through; words in angle brackets that are no HTML stay words."""
    library = need("markdown_it", extra="formats", task="Reading Markdown")
    parser = library.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    escape = need("markdown_it.common.utils", extra="formats", task="Reading Markdown").escapeHtml

    def inline(_renderer: Any, tokens: Any, index: int, _options: Any, _env: Any) -> str:
        content: str = tokens[index].content
        name = re.match(r"</?([A-Za-z][\w-]*)", content)
        return content if name is None or name[1].lower() in _HTML_TAGS else str(escape(content))

    parser.add_render_rule("html_inline", inline)
    return parser

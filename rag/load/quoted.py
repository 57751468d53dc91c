"""What a mail repeats of the mails before it is left out of its text.

Takes   the words of a reply, as plain text or as markup.
Gives   the words its sender wrote. Lines marked `>` go, what stands below `-----Original Message-----` or below a block
        of `From: Sent: To: Subject:` lines, and the line `On … wrote:` above; an answer between quoted lines stays.
Keeps   everything of a forwarded mail and of one that begins a thread: what they quote may stand nowhere else, and
        everything of a reply that holds nothing else.
"""

from __future__ import annotations

import re
from email.message import EmailMessage

# What mail programs wrap quoted mails in.
MARKUP = (
    "blockquote[type=cite], blockquote.gmail_quote, .gmail_quote, .moz-cite-prefix, .yahoo_quoted, .protonmail_quote"
)

_FORWARDED = re.compile(r"\s*(?:fwd?|wg|tr|rv|i|vs)\s*:", re.IGNORECASE)
_REPLY = re.compile(r"\s*(?:re|aw|sv|antw|ref|rif)\s*(?:\[\d+\])?:", re.IGNORECASE)
_WROTE = re.compile(
    r"\S.*\b(?:wrote|writes|schrieb|schreibt|écrit|escribió|escreveu|scritto|scrive|skrev|schreef)\b.{0,80}:\s*$",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(
    r"\s*-{2,}\s*(?:original message|original-nachricht|ursprüngliche nachricht|message d'origine|mensaje original|"
    r"messaggio originale|oorspronkelijk bericht)\s*-{2,}\s*$",
    re.IGNORECASE,
)
_FROM = re.compile(r"\s*\*?(?:from|von|de|da|van|från|fra)\s?:\*? *\S", re.IGNORECASE)
_SENT = re.compile(
    r"\s*\*?(?:sent|date|gesendet|datum|envoyé|inviato|enviado|fecha|verzonden|skickat)\s?:\*? *\S", re.IGNORECASE
)
_TO = re.compile(r"\s*\*?(?:to|subject|an|betreff|à|objet|para|asunto|a|oggetto|aan|onderwerp)\s?:\*?", re.IGNORECASE)
_HEAD_LINES = 6  # within which such a block has all three
_WRAPPED = 3  # lines over which `On … wrote:` may run


def repeats(message: EmailMessage) -> bool:
    """Whether what this mail quotes are mails before it: a reply, not forwarded."""
    subject = str(message.get("Subject") or "")
    if _FORWARDED.match(_REPLY.sub("", subject, count=1)):
        return False
    return bool(_REPLY.match(subject) or message.get("In-Reply-To") or message.get("References"))


def without(text: str) -> str:
    """The lines of a reply that its sender wrote."""
    kept: list[str] = []
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if _ORIGINAL.match(line) or _is_head(lines[number : number + _HEAD_LINES]):
            _unannounce(kept)
            break
        if line.lstrip(" ").startswith(">"):
            _unannounce(kept)
            kept.append("")
        else:
            kept.append(line)
    words = "\n".join(kept).strip()
    return words if words else text


def _is_head(lines: list[str]) -> bool:
    """The head of a mail as Outlook puts it above what it quotes."""
    if not lines or not _FROM.match(lines[0]):
        return False
    return any(_SENT.match(line) for line in lines[1:]) and any(_TO.match(line) for line in lines[1:])


def _unannounce(kept: list[str]) -> None:
    """Take `On Monday, Ann wrote:` and rules away again, now that what they announce is left out."""
    end = len(kept)
    while end and (not kept[end - 1].strip() or set(kept[end - 1].strip()) <= set("_-")):
        end -= 1
    del kept[end:]
    for count in range(1, min(_WRAPPED, end) + 1):
        said = " ".join(kept[end - count : end])
        if not kept[end - count].strip():
            return
        if _WROTE.match(said) and (count == 1 or re.match(r"\s*(?:on|am|le|el|il|op|den|em)\b", said, re.IGNORECASE)):
            del kept[end - count :]
            return

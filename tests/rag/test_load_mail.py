"""Mail: what its sender wrote, and nothing twice."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from rag import clean, load

REPLY = "Yes, the garage opens at six from Monday on, and the gate needs a badge after ten in the evening, as always."


def mail(path: Path, subject: str, plain: str, html: str = "") -> str:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ann@example.com", "bob@example.com", subject
    message.set_content(plain)
    if html:
        message.add_alternative(html, subtype="html")
    path.write_bytes(message.as_bytes())
    return clean.draft(load.pages(path), title=path.stem).text


@pytest.mark.parametrize(
    "quotation",
    [
        "On Mon, 2 Mar 2026 at 09:00, Bob <bob@example.com>\nwrote:\n\n> Does the garage open earlier?\n>> It did once.",
        "Am 2. März 2026 schrieb Bob:\n> Does the garage open earlier?",
        "-----Original Message-----\nFrom: Bob\nDoes the garage open earlier?",
        "________________________________\nFrom: Bob <bob@example.com>\nSent: Monday, March 2, 2026\nTo: Ann\n"
        "Subject: Parking\n\nDoes the garage open earlier?",
        "Von: Bob\nGesendet: Montag\nAn: Ann\nBetreff: Parking\n\nDoes the garage open earlier?",
    ],
)
def test_a_reply_does_not_repeat_the_mail_it_answers(quotation: str, tmp_path: Path) -> None:
    text = mail(tmp_path / "a.eml", "Re: Parking", f"{REPLY}\n\n{quotation}\n")
    assert text.endswith(REPLY)


def test_a_reply_in_markup_does_not_repeat_either(tmp_path: Path) -> None:
    cited = "<blockquote type='cite'><p>Does the garage open earlier?</p></blockquote>"
    outlook = "<hr><p><b>From:</b> Bob<br><b>Sent:</b> Monday<br><b>To:</b> Ann</p><p>Does the garage open earlier?</p>"
    for quotation in (cited, outlook):
        text = mail(tmp_path / "a.eml", "AW: Parking", "See HTML.", f"<p>{REPLY}</p>{quotation}")
        assert text.endswith(REPLY)


def test_an_answer_between_quoted_lines_stays(tmp_path: Path) -> None:
    text = mail(
        tmp_path / "a.eml", "Re: Parking", f"> Does it open earlier?\n\n{REPLY}\n\n> And the gate?\n\nAsk Eve.\n"
    )
    assert "earlier?" not in text
    assert text.endswith(f"{REPLY}\n\nAsk Eve.")


@pytest.mark.parametrize("subject", ["Fwd: Parking", "Re: FW: Parking", "Parking"])
def test_what_was_forwarded_or_begins_a_thread_stays_whole(subject: str, tmp_path: Path) -> None:
    text = mail(tmp_path / "a.eml", subject, f"{REPLY}\n\nFrom: Bob\nSent: Monday\nTo: Ann\n\nDoes it open earlier?\n")
    assert "Does it open earlier?" in text


def test_a_reply_that_holds_only_a_quotation_keeps_it(tmp_path: Path) -> None:
    assert "Does it open earlier?" in mail(tmp_path / "a.eml", "Re: Parking", "> Does it open earlier?\n")

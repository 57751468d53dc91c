"""Mail: what its sender wrote, and nothing twice."""

from __future__ import annotations

import io
import zipfile
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


def enclosed(name: str, data: bytes, subject: str = "Files") -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "ann@example.com", subject
    message.set_content("See the file.")
    message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def packed(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def test_an_archive_on_a_mail_in_a_mail_is_read_and_says_where_it_was(tmp_path: Path) -> None:
    inner = enclosed("notes.zip", packed("rules/shed.md", b"# Sheds\n\nThe shed is locked at nine."), "Inner")
    (tmp_path / "a.eml").write_bytes(enclosed("forwarded.eml", inner))
    draft = clean.draft(load.pages(tmp_path / "a.eml"), title="a")
    assert "Attachment: forwarded.eml" in draft.text
    assert "## Attachment: notes.zip/rules/shed.md\n\n### Sheds\n\nThe shed is locked at nine." in draft.text
    assert draft.notes == ()


def test_files_inside_each_other_end_at_a_depth_with_a_note(tmp_path: Path) -> None:
    data = b"deep words"
    for _ in range(6):
        data = packed("again.zip", data)
    (tmp_path / "a.eml").write_bytes(enclosed("a.zip", data))
    draft = clean.draft(load.pages(tmp_path / "a.eml"), title="a")
    assert "more than 3 files inside each other" in draft.notes[0]


def test_files_embedded_in_a_pdf_are_read_and_a_broken_one_costs_nothing_else(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter()
    writer.add_blank_page(200, 200)
    writer.add_attachment("shed.csv", b"Shed,Bikes\nNorth,12\nSouth,9\n")
    writer.add_attachment("broken.docx", b"no document")
    writer.write(tmp_path / "a.pdf")
    draft = clean.draft(load.pages(tmp_path / "a.pdf"), title="a")
    assert "## Attachment: shed.csv\n\nShed: North | Bikes: 12" in draft.text
    assert [note for note in draft.notes if note.startswith("attachment broken.docx was not read: ")]

"""The corpus report as one HTML page for people: plots, tables and samples of what went.

Takes   the values of `report.json`.
Gives   one self-contained page (trainer/plots.py).
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from trainer import plots

SHOWN = 20  # bands of one trait


def page(report: Mapping[str, Any]) -> str:
    """The whole page."""
    domains = report["domains"]
    sections = [
        ("In short", summary(report)),
        (
            "Why documents went",
            plots.bars(report["dropped"], title="Documents dropped, by reason", unit="documents")
            + plots.table(
                ["domain", "documents", "kept", "MB kept", "share of text"],
                [
                    [name, d["documents"], d["kept"], d["bytes"] / 1e6, d["share_of_text"]]
                    for name, d in domains.items()
                ],
            )
            + plots.table(  # apart: beside figures its words would be squeezed off a phone's screen
                ["domain", "commonest reasons"],
                [[name, reasons(d["dropped"])] for name, d in domains.items() if d["dropped"]],
            ),
        ),
        ("What went: samples", samples(report["samples"])),
        ("Over- and under-represented", represented(report["represented"])),
        ("Balance", balance(report["balance"])),
        ("Licences", licences(domains)),
        ("Questions with contradicting answers", contradictions(report["contradictions"])),
    ]
    return plots.page("What the corpus holds, and what went", sections)


def summary(report: Mapping[str, Any]) -> str:
    """Sentences with the main figures."""
    masked = ", ".join(f"{count:,} {kind}" for kind, count in report["masked"].items()) or "nothing"
    unread = ", ".join(f"{count} {kind}" for kind, count in report["evaluation_files_not_read"].items())
    return paragraphs(
        f"{report['kept']:,} of {report['documents']:,} documents were kept: {report['bytes_kept'] / 1e6:,.1f} MB of "
        f"clean text from {report['bytes_as_found'] / 1e6:,.1f} MB.",
        f"Personal data masked: {masked}.",
        f"Compared with {report['evaluation_grams']:,} runs of 13 words from evaluation files"
        + (f"; files that hold no readable text: {unread}." if unread else "."),
        f"It took {report['seconds']:,.0f} s, {report['megabytes_per_second_a_core']} MB a second and core.",
    )


def reasons(dropped: Mapping[str, int]) -> str:
    """The commonest reasons in one cell."""
    return ", ".join(f"{name} {count:,}" for name, count in list(dropped.items())[:3])


def samples(found: Mapping[str, list[dict[str, str]]]) -> str:
    """A few texts for each reason, folded."""
    return "".join(
        f"<details><summary>{html.escape(reason)}</summary>"
        + "".join(f"<pre>{html.escape(row['source'])}\n{html.escape(row['text'])}</pre>" for row in rows)
        + "</details>"
        for reason, rows in found.items()
    )


def represented(traits: Mapping[str, Any]) -> str:
    """A plot and a table for each trait."""
    parts = []
    for trait, value in traits.items():
        bands = value["bands"][:SHOWN]
        ratio = {row["band"]: 100 * row["kept"] for row in bands}
        parts.append(plots.bars(ratio, title=f"Clean text by {trait}", unit="%"))
        parts.append(paragraphs(f"Reference: {value['reference']}."))
        parts.append(
            plots.table(
                [trait, "% as found", "% kept", "% in the reference", "verdict"],
                [[r["band"], 100 * r["found"], 100 * r["kept"], 100 * r["reference"], r["verdict"]] for r in bands],
            )
        )
    return "".join(parts)


def balance(value: Mapping[str, Any]) -> str:
    """What the weights did."""
    if not value["weights"]:
        return paragraphs("No weights are set in [corpus]: every clean document is written once.")
    rows = [[name, value["weights"].get(name, 1.0), factor] for name, factor in value["factors"].items()]
    return paragraphs(
        "How often the text of a domain was written: below 1 a random part was left out, above 1 it stands repeatedly."
    ) + plots.table(["domain", "weight", "times"], rows)


def licences(domains: Mapping[str, Any]) -> str:
    """Which licences cover how much of each domain."""
    rows = [
        [name, licence, size / 1e6]
        for name, domain in domains.items()
        for licence, size in list(domain["licences"].items())[:SHOWN]
    ]
    return plots.table(["domain", "licence", "MB kept"], rows)


def contradictions(value: Mapping[str, Any]) -> str:
    """How many there are, and a few of them."""
    text = (
        f"{value['groups']:,} questions in {value['files']} files: {value['same_passage']:,} about the same passage, "
        f"{value['same_title']:,} under the same title. All of them stand in contradictions.jsonl; none was removed."
    )
    rows = [
        [group["question"], " / ".join(f"{side['answer']} ({side['file']})" for side in group["answers"][:4])]
        for group in value["samples"]
    ]
    return paragraphs(text) + (plots.table(["question", "answers"], rows) if rows else "")


def paragraphs(*texts: str) -> str:
    """Escaped paragraphs."""
    return "".join(f"<p>{html.escape(text)}</p>" for text in texts)

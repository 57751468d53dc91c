"""What went, why, and what the corpus that stays over- and under-represents.

Takes   every document's verdict, in order.
Gives   plain values for `report.json`: counts and samples for each reason and domain, licences in bytes, and for each
        trait (domain, language, licence, length, ease of reading, age) the share of each band in the text as found, in
        the text kept, and in the stated reference.
Memory  a few numbers for each band; of licences and languages the report shows all there are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from trainer.cleaning.judge import Judged

SAMPLES = 3  # kept for each reason
MUCH = 1.25  # times the reference: over-represented; below its inverse: under-represented
LEAST = 0.002  # share below which a band is not worth a verdict


class Report:
    """Counts of one run."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.by_domain: dict[str, Counter[str]] = defaultdict(Counter)
        self.samples: dict[str, list[dict[str, str]]] = defaultdict(list)
        self.kept: dict[str, Counter[str]] = defaultdict(Counter)
        self.licences: dict[str, Counter[str]] = defaultdict(Counter)
        self.masked: Counter[str] = Counter()
        self.found_traits: dict[str, Counter[str]] = defaultdict(Counter)  # trait -> band -> bytes as found
        self.kept_traits: dict[str, Counter[str]] = defaultdict(Counter)
        self.languages: Counter[str] = Counter()  # documents
        self.bytes_in = 0

    def count(self, domain: str, judged: Judged, reason: str) -> None:
        """Note one document."""
        bands = {
            "domain": domain,
            "language": judged.language.code,
            "licence": judged.licence or "not stated",
            **judged.traits,
        }
        self.met[domain] += 1
        self.bytes_in += judged.raw_size
        self.languages[judged.language.code] += 1
        for trait, band in bands.items():
            self.found_traits[trait][band] += judged.size
        if reason:
            self.reasons[reason] += 1
            self.by_domain[domain][reason] += 1
            if len(self.samples[reason]) < SAMPLES:
                self.samples[reason].append({"source": judged.source, "text": judged.sample})
            return
        for trait, band in bands.items():
            self.kept_traits[trait][band] += judged.size
        self.masked.update(judged.masked)
        self.kept[domain].update(documents=1, bytes=judged.size)
        self.licences[domain][judged.licence or "not stated"] += judged.size

    def summary(self) -> dict[str, Any]:
        """Everything as plain values; licences with the bytes they cover."""
        total = sum(kept["bytes"] for kept in self.kept.values())
        return {
            "documents": sum(self.met.values()),
            "kept": sum(kept["documents"] for kept in self.kept.values()),
            "bytes_as_found": self.bytes_in,
            "bytes_kept": total,
            "dropped": dict(self.reasons.most_common()),
            "masked": dict(self.masked.most_common()),
            "languages": dict(self.languages.most_common()),
            "domains": {
                domain: {
                    "documents": self.met[domain],
                    "kept": self.kept[domain]["documents"],
                    "bytes": self.kept[domain]["bytes"],
                    "share_of_text": round(self.kept[domain]["bytes"] / max(total, 1), 4),
                    "dropped": dict(self.by_domain[domain].most_common()),
                    "licences": dict(self.licences[domain].most_common()),
                }
                for domain in self.met
            },
            "samples": dict(self.samples),
        }

    def represented(self, weights: Mapping[str, float]) -> dict[str, Any]:
        """What is over- and under-represented, trait by trait.

        Domains are held against the configured weights, or against equal shares where none are given; everything else
        against the text as found: did cleaning tilt it?
        """
        domains = {domain: weights.get(domain, 1.0) for domain in self.met}
        wanted = shares(Counter({domain: round(1e6 * weight) for domain, weight in domains.items()}))
        told = {"domain": "weights in the recipe" if weights else "equal shares of all domains"}
        result = {}
        for trait, found in self.found_traits.items():
            before, after = shares(found), shares(self.kept_traits[trait])
            against = wanted if trait == "domain" else before
            result[trait] = {
                "reference": told.get(trait, "the text as found"),
                "bands": [
                    band(name, before[name], after.get(name, 0.0), against.get(name, 0.0))
                    for name in (sorted(found) if trait in ("age",) else [name for name, _ in found.most_common()])
                ],
            }
        return result


def band(name: str, found: float, kept: float, reference: float) -> dict[str, Any]:
    """One row of the comparison.

    >>> band("books", 0.5, 0.4, 0.2)["verdict"]
    'over'
    """
    verdict = ""
    if max(kept, reference) >= LEAST:
        verdict = "over" if kept > reference * MUCH else "under" if kept < reference / MUCH else ""
    return {
        "band": name,
        "found": round(found, 4),
        "kept": round(kept, 4),
        "reference": round(reference, 4),
        "verdict": verdict,
    }


def shares(sizes: Counter[str]) -> dict[str, float]:
    """Parts of the whole."""
    total = max(sum(sizes.values()), 1)
    return {name: size / total for name, size in sizes.items()}

"""What this product cannot do, and what can be asked instead.

Takes   a request without its courtesies.
Gives   a `cannot` task that says why not, or None.
Reason  everything said is quoted from documents: a sum, an opinion or a translation would be words that nobody can
        check, made to look as if they stood in a source.
"""

from __future__ import annotations

import re

from rag.tasks.task import Task

_LANGUAGE = (
    r"(?:german|french|spanish|italian|portuguese|dutch|swedish|danish|norwegian|finnish|polish|czech|russian|ukrainian|"
    r"turkish|arabic|hebrew|hindi|chinese|mandarin|japanese|korean|latin|greek|hungarian|romanian|vietnamese|english)"
)
_PIECE = (
    r"(?:letter|e-?mail|mail|message|memo|poem|speech|essay|blog post|post|reply|response|invitation|announcement|"
    r"reference|job ad|tweet|story|report|article|contract|proposal|policy|press release|cover letter|text|script|code)"
)
_PICTURE = (
    r"(?:chart|graph|diagram|picture|image|drawing|photo|plot|logo|infographic|presentation|slides?|flow ?chart|"
    r"mind ?map|cartoon|video|animation)"
)
_LIMITS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            rf"^translate\b|^(?:say|put|give|write|answer|read|tell me|show me)\b.* (?:in|into) {_LANGUAGE}$", re.I
        ),
        "Documents are quoted here word for word, never translated. Ask what they say, and each answer comes with the "
        "original words and their place.",
    ),
    (
        re.compile(
            rf"^(?:draw|paint|sketch|plot|render|illustrate|visuali[sz]e)\b"
            rf"|^(?:make|create|generate|produce|design|show|give)(?: me| us)? (?:an? |the |some )?(?:[\w-]+ ){{0,2}}?"
            rf"{_PICTURE}\b",
            re.I,
        ),
        "No pictures or charts are made here. Ask for the values instead, such as “List all ...” or “Compare A and B”, "
        "and each is quoted with its place.",
    ),
    (
        re.compile(
            r"^(?:write|draft|compose|formulate|prepare|create|generate|rewrite|reword|rephrase|invent)"
            rf"(?: me| us)?(?: up)? (?:an? |the |my |our |some |this )?(?:[\w-]+ ){{0,3}}?{_PIECE}\b",
            re.I,
        ),
        "No letters or other texts are written here: everything said is quoted from the documents. Ask for the rules "
        "or facts that the text needs, or “Summarise ...”, and each sentence comes with its source.",
    ),
    (
        re.compile(
            r"^(?:calculate|compute|add up|sum(?! up)\b|multiply|subtract|divide|convert [\d$€£])"
            r"|^what(?:'s| is) the (?:sum|average|mean|median|total|product) of\b"
            r"|^how (?:much|many) (?:is|are) .+ (?:plus|minus|times|divided by|multiplied by) ",
            re.I,
        ),
        "Values are quoted here, never calculated. Ask for the values themselves, such as “List all ...” or “Compare A "
        "and B”, and each comes with its place.",
    ),
    (
        re.compile(
            r"\b(?:do|would) you (?:personally )?(?:think|believe|prefer|like|recommend|feel|suggest|choose|advise)\b"
            r"|\b(?:what(?:'s| is)|in) your (?:own |personal )?(?:opinion|view|favou?rite|take|advice)\b"
            r"|^what would you do\b",
            re.I,
        ),
        "No opinions are given here, only what the documents say. Ask “Compare A and B” to see both side by side, with "
        "their sources.",
    ),
    (
        re.compile(
            r"^(?:predict|forecast|foresee)\b"
            r"|^will .+(?<! to)(?<!into)(?<!until)(?<! for)(?<! by)(?<! the)(?<!from)(?<!over)"
            r" (?:next (?:year|month|week|quarter|decade|century)|in the future|tomorrow|some day|in \w+ years)$",
            re.I,
        ),
        "The future is not foretold here: documents say what holds now. Ask what they say of it today, and until when "
        "it holds.",
    ),
)  # fmt: skip


def impossible(asked: str) -> Task | None:
    """The task that cannot be done, with the reason; None where nothing of the kind is asked."""
    reason = next((reason for pattern, reason in _LIMITS if pattern.search(asked)), None)
    return Task("cannot", asked, reason=reason) if reason else None

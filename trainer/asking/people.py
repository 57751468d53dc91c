"""Who: the people and teams who act, are asked, or are responsible.

Takes   a sentence and, where there is one, its clause.
Gives   questions whose answer is a role, a team or a name.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from trainer.asking.clauses import REST, cores, enough
from trainer.asking.grammar import BE, VERBS, Clause, asker, lowered, sentence_case, third_person, turned
from trainer.asking.sentences import Asked, Sentence

ROLES = (
    "team manager lead leader director officer committee board department staff employee employees supervisor "
    "coordinator administrator admin owner chair chairs president chief engineer engineers developer developers designer "
    "reviewer reviewers approver approvers maintainer maintainers contributor contributors mentor mentors analyst editor "
    "specialist representative secretary treasurer accountant auditor counsel attorney contractor contractors vendor "
    "partner partners customer customers client clients member members user users author authors author's council group "
    "office agency facilitator host organizer organizers recruiter interviewer interviewers candidate candidates manager's "
    "managers leads leaders supervisors owners admins administrators teams writers writer researcher researchers "
    "volunteer volunteers subcommittee sig hr it payroll finance legal security helpdesk"
).split()
_ROLE = re.compile(rf"\b(?:{'|'.join(ROLES)})\b", re.I)
_TO = re.compile(
    rf"^(?P<core>.+?) (?P<link>to|from|with|by) (?P<answer>(?:the |your |our |an? |a member of )?{REST}{{2,48}})$"
)
_CONTACT = re.compile(
    r"^(?:Please |You (?:can|should|may|must) )?(?:contact|ask|email|e-mail|message|ping|reach out to|talk to|speak to|speak with|notify|"
    r"get in touch with|check with) (?P<answer>(?:the |your |our |an? |@|#|[A-Z])[^,;:()?|]{1,50}?)"
    r" (?P<link>if|when|for|about|to|before|with|regarding|on) (?P<why>[^;:()?|]{6,90})$",
    re.I,
)
_DUTY = re.compile(
    r"^(?P<who>[^,;:()|?]{3,60}?) (?P<be>is|are|will be) (?P<duty>(?:responsible for|accountable for|in charge of|tasked with|"
    r"the owner of|the point of contact for|the first point of contact for|eligible for|entitled to) [^;:()?|]{6,120})$"
)


def is_person(words: str) -> bool:
    """Whether the words name people by what they do."""
    head = re.split(r" (?:of|for|in|on|at|with|from|who|and|or) ", words)[0]
    return bool(_ROLE.fullmatch(head.split()[-1])) if head.split() else False


def asked(sentence: Sentence, parts: Clause, chance: random.Random) -> Iterator[Asked]:
    """Who acts, and with whom."""
    subject = parts.subject
    if is_person(subject) and subject.lower() not in ("we", "you") and not parts.negated:
        yield from _actor(sentence, parts)
    for core in cores(parts):
        match = _TO.match(core)
        if match is None or parts.negated or not is_person(match["answer"]) or not enough(parts, match["core"]):
            continue
        verb = match["core"].split()[0]
        if match["link"] == "with" and verb not in {"share", "discuss", "work", "meet", "schedule", "talk", "check",
                                                      "coordinate", "review", "be", "speak", "consult"}:  # fmt: skip
            continue
        start = sentence.start + parts.at + (len(sentence.text) - parts.at - len(parts.predicate))
        start += core.rindex(match["answer"])
        question = sentence_case(f"Who {turned(parts, match['core'])} {match['link']}")
        yield Asked(question, start, start + len(match["answer"]), "person", "recipient")
        break


def _actor(sentence: Sentence, parts: Clause) -> Iterator[Asked]:
    core = next(cores(parts), "")
    if not enough(parts, core) or len(core.split()) < 3:
        return
    if parts.aux in ("do", "does"):
        verb, _, rest = core.partition(" ")
        said = f"{third_person(verb)} {asker(rest)}"
    elif parts.aux in (*BE.split("|"), "did", "have", "has"):
        return
    else:
        said = f"{parts.aux} {asker(core)}"
    start = sentence.start + parts.start
    yield Asked(sentence_case(f"Who {said}"), start, start + len(parts.subject), "person", "actor")


def duties(sentence: Sentence, chance: random.Random) -> Iterator[Asked]:
    """Who is responsible, and for what; whom to contact."""
    match = _DUTY.match(sentence.text)
    if match and not re.match(
        r"(?:it|this|that|they|there|he|she|who|these|those|you|we|i|if|when)\b", match["who"], re.I
    ):
        duty = asker(match["duty"])
        span = sentence.start, sentence.start + len(match["who"])
        if not re.search(r"\b(?:their|its|his|her|they|them|it|this|these)\b", duty):
            yield Asked(sentence_case(f"Who is {duty}"), *span, "person", "duty")
        link = duty.rsplit(" ", 1)
        words = re.match(
            r"(responsible for|accountable for|in charge of|tasked with|eligible for|entitled to) (.*)$", duty
        )
        if words and len(words[2]) > 12 and chance.random() < 0.6 and link:
            start = sentence.start + match.start("duty") + len(words[1]) + 1
            be = "are" if match["be"] == "are" else "is"
            yield Asked(
                sentence_case(f"What {be} {asker(lowered(match['who']))} {words[1]}"),
                start,
                sentence.end,
                "duty",
                "duty",
            )
    match = _CONTACT.match(sentence.text)
    if match and not re.search(r"\b(?:and|or)$", match["answer"]):
        link, why = match["link"].lower(), asker(match["why"])
        if link in ("if", "when") and len(why.split()) < 3:
            return
        if link == "to" and why.split()[0] not in VERBS:
            return
        if link == "with" and not re.match(r"(?:any )?(?:questions|feedback|concerns|problems|issues)\b", why):
            return
        start = sentence.start + match.start("answer")
        verb = "ask" if link in ("for", "about", "before") and chance.random() < 0.5 else "contact"
        yield Asked(
            sentence_case(f"Who should I {verb} {link} {why}"), start, start + len(match["answer"]), "person", "contact"
        )

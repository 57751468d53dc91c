"""Words that name people by what they do.

Takes   a noun phrase.
Gives   whether it names a role, or somebody one can write to.
"""

from __future__ import annotations

import re

ROLES = (
    "team manager lead leader director officer committee board department staff employee employees supervisor "
    "coordinator administrator admin owner chair chairs president chief engineer engineers developer "
    "developers designer "
    "reviewer reviewers approver approvers maintainer maintainers contributor contributors mentor mentors "
    "analyst editor "
    "specialist representative secretary treasurer accountant auditor counsel attorney contractor contractors vendor "
    "partner partners customer customers client clients member members user users author authors author's "
    "council group "
    "office agency facilitator host organizer organizers recruiter interviewer interviewers candidate "
    "candidates manager's "
    "managers leads leaders supervisors owners admins administrators teams writers writer researcher researchers "
    "volunteer volunteers subcommittee sig hr it payroll finance legal security helpdesk"
).split()
_ROLE = re.compile(rf"\b(?:{'|'.join(ROLES)})\b", re.I)


def is_person(words: str) -> bool:
    """Whether the words name people by what they do."""
    head = re.split(r" (?:of|for|in|on|at|with|from|who|and|or|about|to) ", words)[0]
    return bool(_ROLE.fullmatch(head.split()[-1])) if head.split() else False


def is_someone(words: str) -> bool:
    """Whether the words name whom one can write to: a role, a person, a channel, an address."""
    if re.search(r"\b(?:and|or|of|for|any)$|^(?:any|for|if|about)\b", words, re.I):
        return False
    return bool(re.match(r"[@#]|\S+@\S+|(?:the |your |our |an? )?[A-Z]", words)) or is_person(words)

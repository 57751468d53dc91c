"""How long conversations are kept, and what goes when their time is over.

Takes   the catalogue; a person's own number of days, and the library's limit (`conversation_days` in the settings).
Gives   `purge()`: conversations without a new turn for so long are deleted, and the words of this person's answers
        leave the audit, whose chain stays whole. `due()` counts without deleting.
Kept    are the words of answers that stand in a younger conversation, that a standing judgement needs, or that somebody
        pinned; and all of them where the settings say `audit_keeps_purged`.
When    at each opening of a library, then hourly while it is in use, and by `rag retention --purge`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from rag.audit import Audit
from rag.catalogue import Catalogue
from rag.errors import SettingsError
from rag.types import LOCAL_OWNER

MOST_DAYS = 36_500  # a century: longer is for ever

# Answers whose words may go: of this person, old, in no conversation that stays, needed by nobody's judgement or pin.
_LOOSE = """
    select a.id from audit a where a.kind = 'answer' and a.person = :person and a.at < :before and a.payload is not null
    and a.id not in (select answer_id from pinned)
    and a.id not in (select answer_id from judgements where withdrawn = 0 and state <> 'rejected')
    and a.id not in (select coalesce(other_id, '') from judgements where withdrawn = 0 and state <> 'rejected')
    and a.id not in (select coalesce(json_extract(t.answer_json, '$.answer_id'), '') from turns t
        join conversations c on c.id = t.conversation_id where c.person = :person and c.updated_at >= :before)"""


@dataclass(frozen=True, slots=True)
class Retention:
    """What holds for one person, in days; 0 is for ever."""

    own: int  # chosen by the person
    limit: int  # of the library, from the settings
    audit_keeps_purged: bool = False

    @property
    def days(self) -> int:
        """What takes effect: the shorter of the two."""
        return min((days for days in (self.own, self.limit) if days), default=0)


class Purged(NamedTuple):
    """What went, or would go."""

    conversations: int = 0
    answers: int = 0  # whose words left the audit


def chosen(catalogue: Catalogue, *, person: str = LOCAL_OWNER) -> int:
    """The days that a person chose; 0 is for ever."""
    row = catalogue.db.execute("select days from retention where person = ?", (person,)).fetchone()
    return int(row[0]) if row else 0


def choose(catalogue: Catalogue, days: int, *, person: str = LOCAL_OWNER) -> None:
    """Keep this person's conversations for so many days after their last turn; 0 keeps them."""
    if not 0 <= days <= MOST_DAYS:
        raise SettingsError(f"{days} days: use 1 to {MOST_DAYS}, or 0 to keep conversations for ever")
    with catalogue.atomic() as db:
        if days:
            db.execute("insert or replace into retention values (?, ?)", (person, days))
        else:
            db.execute("delete from retention where person = ?", (person,))


def due(catalogue: Catalogue, rule: Retention, *, person: str, now: datetime | None = None) -> Purged:
    """What `purge_person` would delete now."""
    if not rule.days:
        return Purged()
    bound = {"person": person, "before": _before(rule.days, now)}
    with catalogue.snapshot() as db:
        old = "select count(*) from conversations where person = :person and updated_at < :before"
        conversations = db.execute(old, bound).fetchone()[0]
        answers = 0 if rule.audit_keeps_purged else len(db.execute(_LOOSE, bound).fetchall())
    return Purged(conversations, answers)


def purge_person(catalogue: Catalogue, rule: Retention, *, person: str, now: datetime | None = None) -> Purged:
    """Delete what is older than this person's rule allows, in one transaction."""
    if not any(due(catalogue, rule, person=person, now=now)):
        return Purged()
    bound = {"person": person, "before": _before(rule.days, now)}
    old = "(select id from conversations where person = :person and updated_at < :before)"
    with catalogue.atomic() as db:
        answers = [] if rule.audit_keeps_purged else [row[0] for row in db.execute(_LOOSE, bound)]
        Audit(catalogue).erase_all(answers, person=person, why=f"kept for {rule.days} days")
        db.execute(f"delete from turns where conversation_id in {old}", bound)  # noqa: S608 - constants only
        gone = db.execute(f"delete from conversations where id in {old}", bound).rowcount  # noqa: S608
    catalogue.truncate()
    return Purged(gone, len(answers))


def purge(catalogue: Catalogue, *, limit: int, audit_keeps_purged: bool, now: datetime | None = None) -> Purged:
    """Purge everybody for whom a rule holds. Quick where none does."""
    with_rule = "select person from retention"
    everybody = "select person from conversations union select person from audit where kind = 'answer' union "
    persons = catalogue.db.execute((everybody if limit else "") + with_rule).fetchall()
    done = [
        purge_person(
            catalogue,
            Retention(chosen(catalogue, person=person), limit, audit_keeps_purged),
            person=person,
            now=now,
        )
        for (person,) in persons
    ]
    return Purged(sum(one.conversations for one in done), sum(one.answers for one in done))


def _before(days: int, now: datetime | None) -> str:
    """The moment before which things are too old, as the catalogue writes moments."""
    return ((now or datetime.now(UTC)) - timedelta(days=days)).isoformat(timespec="microseconds")

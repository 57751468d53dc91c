"""Who may read a document, as one condition of SQL: every list, search and citation rests on it.

    the owner of the files, an administrator ─► everything
    anybody else who stands in the library   ─► collections that are open or name them  ∩  documents that are open or do

Takes   a row of `documents` under an alias, and `:person` bound to the query.
Gives   the condition. A holder is a person's name, or `group:NAME` for everybody in that group.
"""

from __future__ import annotations

GROUP = "group:"
_HOLDERS = f"(select :person union all select '{GROUP}' || team from memberships where person = :person)"  # noqa: S608 - ours
_EVERYTHING = """:person is null or :person = 'local' or exists (
    select 1 from people where name = :person and active = 1 and role = 'administrator')"""
_STANDS = """(not exists (select 1 from people) or exists (
    select 1 from people where name = :person and active = 1))"""


def reads(alias: str) -> str:
    """May `:person` read the document of this row?"""
    return f"""({_EVERYTHING} or ({_STANDS}
        and ({alias}.access = '[]' or exists (select 1 from json_each({alias}.access) where value in {_HOLDERS}))
        and (not exists (select 1 from grants where collection = {alias}.collection)
             or exists (select 1 from grants where collection = {alias}.collection and holder in {_HOLDERS}))))"""  # noqa: S608


def reads_today(alias: str) -> str:
    """The same, and nobody has closed the document since: a former version asks for the rights of the present one."""
    return f"""({reads(alias)} and not exists (
        select 1 from documents today where today.collection = {alias}.collection and today.source = {alias}.source
        and today.path = {alias}.path and today.current = 1 and not {reads("today")}))"""  # noqa: S608


WRITES = f"select 1 from grants where collection = :collection and writes = 1 and holder in {_HOLDERS}"  # noqa: S608
EVERYTHING = f"select {_EVERYTHING}"
# Other people's questions are for reviewers; in a library without accounts, for whoever may read what they quote.
KNOWS = f"""select :person = :asker or {_EVERYTHING} or not exists (select 1 from people)
    or exists (select 1 from people where name = :person and active = 1 and role = 'reviewer')"""  # noqa: S608

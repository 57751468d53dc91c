"""A library in the hands of one person: the doors hold this instead of the library, and cannot forget who is asking.

    Bound(library, "bob").search("pay")  ─►  in the table? does bob's role reach? ─► library.search("pay", person="bob")

Takes   an open library, a person, and the scope of the token they came with, if any.
Gives   what `needs.py` lists; wherever a method takes `person`, it gets this one, whatever the caller said.
Refuses (NotAllowed) what the person's role, their right to a collection, or the token's scope does not reach; asked
        anew with each call, so a role that is taken away is gone at once. Asking is paced (TooMany).
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

from rag import access
from rag.accounts import grants, people
from rag.accounts.needs import ANYONE, NEEDS, WRITER
from rag.accounts.pace import Pace
from rag.accounts.people import Person
from rag.errors import NotAllowed
from rag.types import DEFAULT_COLLECTION

ASKING = ("ask", "stream", "second_answer", "pin_question", "answer_pinned")
_pace = Pace()


class Bound:
    """See the module. It has no attributes of the library's but those of the table."""

    def __init__(self, library: Any, person: str, *, scope: str = "write") -> None:
        self._library, self._catalogue, self._scope = library, library._catalogue, scope
        self.person = person

    @property
    def account(self) -> Person:
        """The person, as they stand in the library now. Raises NotFound."""
        return people.one(self._catalogue, self.person)

    def may(self, role: str) -> bool:
        """Does the person's role reach so far?"""
        return self.account.may(role)

    def may_write(self, collection: str) -> bool:
        """May the person add and remove documents of this collection?"""
        return self._scope == "write" and grants.may_write(self._catalogue, self.person, collection)

    def __getattr__(self, name: str) -> Any:
        if name not in NEEDS:
            raise AttributeError(f"{name}: not for a person; the owner of the library's files may")
        value = getattr(self._library, name)
        return partial(self._call, name, value) if callable(value) else value

    def _call(self, name: str, method: Any, *given: Any, **named: Any) -> Any:
        need = NEEDS[name]
        takes = inspect.signature(method).parameters
        if "person" in takes:
            named["person"] = self.person
        if need == WRITER:
            self._check_writing(name, given, named)
        elif not self.may(need):
            raise NotAllowed(
                f"{self.person}: this needs the role {need}. An administrator gives it: rag user role {self.person}"
            )
        if need not in (ANYONE, WRITER) and self._scope != "write":
            raise NotAllowed(f"{self.person}: a token that reads cannot do this")
        if name in ASKING:
            _pace.take(f"{self._catalogue.path}\n{self.person}", self._library.settings.questions_a_minute)
        return method(*given, **named)

    def _check_writing(self, name: str, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Of an upload the collection counts that it goes to, of a document the one that it stands in."""
        if name == "add_bytes":
            collection = named.setdefault("collection", DEFAULT_COLLECTION)
            self._check_collection(collection)
            if self._hides(given[0], collection):
                raise NotAllowed(f"{given[0]}: cannot be stored under this name; choose another")
            return
        found = self._catalogue.document(given[0], collection=named.get("collection"), person=self.person)
        self._check_collection(found.collection)
        named["collection"] = found.collection  # not one of the same name elsewhere

    def _check_collection(self, collection: str) -> None:
        if not self.may_write(collection):
            if self._scope != "write":
                raise NotAllowed(
                    f"{self.person}: a token that reads cannot change documents. Make one with scope write"
                )
            raise NotAllowed(
                f"{self.person} may not add or remove documents in {collection}. "
                f"An administrator gives the right: rag user grant {collection} {self.person} --write"
            )

    def _hides(self, name: str, collection: str) -> bool:
        """Would an upload of this name replace a document that this person may not read?"""
        there = self._library._replaced_by(name, collection)
        return there is not None and not access.may_read(self._catalogue, self.person, there.id)

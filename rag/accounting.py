"""The part of the handle that is about people: accounts, groups, rights, tokens, and the library as one person has it.

Takes   an open library, of which `Library` is the whole; `person` is who changes something, the owner when None.
Gives   `Person`s, `Token`s without secrets, rights by collection; `for_person(name)`, which the doors hold.
A library without people has no accounts: then everybody who reaches it is its owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from rag.accounts import grants, people
from rag.accounts.bound import Bound
from rag.accounts.people import ROLES as ROLES  # the doors know the library only
from rag.accounts.people import Person as Person
from rag.accounts.tokens import SCOPES as SCOPES
from rag.accounts.tokens import Caller as Caller
from rag.accounts.tokens import Token as Token
from rag.catalogue import Catalogue
from rag.config import Settings
from rag.errors import NotFound
from rag.types import Document

if TYPE_CHECKING:
    from rag.library import Library
    from rag.parts import Parts

FIRST = "admin"  # who the first start makes an administrator


class SignedIn(NamedTuple):
    """Somebody who has just signed in, and the secret that stands for the session."""

    person: Person
    secret: str


class Accounting:
    """Who is who in a library, and what they may."""

    settings: Settings
    _catalogue: Catalogue
    person: str | None = None  # in whose hands this handle is; None: the owner of the files

    # --- in whose hands -----------------------------------------------------------------------------------------------

    def accounts(self) -> bool:
        """Has the library accounts? Without any, everybody who reaches it is its owner."""
        return people.exist(self._catalogue)

    def for_person(self, name: str, *, scope: str = "write") -> Library:
        """The library as one person has it: their rights, their conversations. Raises NotFound."""
        bound = Bound(self, people.one(self._catalogue, name).name, scope=scope)
        return cast("Library", bound)  # it has the same methods, as far as the person may

    def may(self, role: str) -> bool:  # noqa: ARG002 - the owner may everything; see `Bound`
        """Does the role of whoever holds this handle reach so far?"""
        return True

    def may_write(self, collection: str) -> bool:  # noqa: ARG002
        """May whoever holds this handle add and remove documents of this collection?"""
        return True

    def writable(self, *, person: str | None = None) -> list[str] | None:
        """The collections to which somebody may add documents; None: any, also new ones."""
        return grants.writable(self._catalogue, person)

    @property
    def account(self) -> Person | None:
        """The person who holds this handle; None for the owner of the files."""
        return None

    # --- people -------------------------------------------------------------------------------------------------------

    def set_up(self, name: str = FIRST, *, person: str | None = None) -> tuple[Person, str] | None:
        """Make the first administrator, with a password that is nowhere kept; None where there are accounts."""
        return None if self.accounts() else self.add_person(name, "administrator", person=person)

    def people(self) -> list[Person]:
        """Everybody who has or had an account, by name; removed ones last."""
        return people.everybody(self._catalogue)

    def add_person(
        self,
        name: str,
        role: str = "reader",
        *,
        password: str | None = None,
        identity: str | None = None,
        person: str | None = None,
    ) -> tuple[Person, str]:
        """Give somebody an account; the first one is an administrator. Returns the password made for them, else "".

        A password is made where none is given and no `identity` (an e-mail address of the company's sign-in) is.
        """
        from rag.accounts import passwords

        made = passwords.make() if password is None and identity is None else ""
        chosen = made or password
        added = people.add(
            self._catalogue, name, role,
            password=passwords.hashed(chosen, name="" if made else people.plain(name)) if chosen else None,
            temporary=bool(made), identity=identity, by=person,
        )  # fmt: skip
        return added, made

    def set_role(self, name: str, role: str, *, person: str | None = None) -> Person:
        """Make somebody a reader, reviewer or administrator."""
        return people.set_role(self._catalogue, name, role, by=person)

    def reset_password(self, name: str, *, password: str | None = None, person: str | None = None) -> str:
        """Give somebody another password and sign them out; returns the one that was made where none is given."""
        from rag.accounts import passwords

        made = passwords.make() if password is None else ""
        passwords.set_password(self._catalogue, name, password or made, temporary=bool(made), by=person)
        return made

    def change_password(self, old: str, new: str, *, person: str | None = None) -> None:
        """Change one's own, which ends one's sessions everywhere. Raises SignInRefused where the old one is wrong."""
        from rag.accounts import passwords

        there = passwords.check(self._catalogue, person or "", old)
        passwords.set_password(self._catalogue, there.name, new, by=there.name)

    def remove_person(self, name: str, *, person: str | None = None) -> None:
        """Close an account at once. The name is not given to anybody else."""
        people.remove(self._catalogue, name, by=person)

    def put_in_group(self, group: str, name: str, *, person: str | None = None) -> Person:
        """Make somebody a member of a group; it begins with its first member."""
        return people.put_in_group(self._catalogue, group, name, by=person)

    def take_out_of_group(self, group: str, name: str, *, person: str | None = None) -> Person:
        """End a membership."""
        return people.take_out_of_group(self._catalogue, group, name, by=person)

    # --- rights -------------------------------------------------------------------------------------------------------

    def rights(self) -> dict[str, dict[str, bool]]:
        """By collection each holder and whether they may write; a collection that is open to all is not in it."""
        return grants.listed(self._catalogue)

    def grant(self, collection: str, holder: str, *, writes: bool = False, person: str | None = None) -> None:
        """Let a person or `group:NAME` read a collection, or also write; the first right closes it to all others."""
        grants.grant(self._catalogue, collection, holder, writes=writes, by=person)

    def revoke(self, collection: str, holder: str, *, person: str | None = None) -> None:
        """Take a right to a collection back."""
        grants.revoke(self._catalogue, collection, holder, by=person)

    def open_collection(self, collection: str, *, person: str | None = None) -> None:
        """Let everybody of the library read a collection."""
        grants.open_to_all(self._catalogue, collection, by=person)

    def readers_of(self, document: str, *, collection: str | None = None) -> tuple[str, ...]:
        """The holders that a document is for, among those of its collection; nobody named: all of these."""
        from rag.access import readers_of

        return readers_of(self._catalogue, self._catalogue.document(document, collection=collection).id)

    def set_readers(
        self, document: str, holders: Sequence[str], *, collection: str | None = None, person: str | None = None
    ) -> None:
        """Say who may read a document, among those who may read its collection."""
        from rag import ingest

        found = self._catalogue.document(document, collection=collection)
        ingest.set_access(self._parts(), found, grants.checked(self._catalogue, holders), person=person)

    # --- signing in ---------------------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str) -> SignedIn:
        """Raises SignInRefused, in the same words for a wrong password and a name that does not exist."""
        from rag.accounts import passwords, sessions

        there = passwords.check(self._catalogue, name, password)
        return SignedIn(there, sessions.begin(self._catalogue, there))

    def signed_in(self, secret: str) -> Person | None:
        """Whose session this is; None where it is over."""
        from rag.accounts import sessions

        return sessions.person(self._catalogue, secret, hours=self.settings.session_hours)

    def sign_out(self, secret: str) -> None:
        """End a session."""
        from rag.accounts import sessions

        sessions.end(self._catalogue, secret)

    def known_as(self, identity: str) -> Person | None:
        """The person whom the company's sign-in names so; None where nobody has that identity."""
        return people.known_as(self._catalogue, identity)

    # --- tokens -------------------------------------------------------------------------------------------------------

    def caller(self, secret: str) -> Caller | None:
        """Whom a program with this token speaks for; None where the token does not count."""
        from rag.accounts import tokens

        return tokens.caller(self._catalogue, secret)

    def tokens(self, name: str | None = None) -> list[Token]:
        """Tokens that count, of one person or of all."""
        from rag.accounts import tokens

        return tokens.listed(self._catalogue, name)

    def make_token(
        self, name: str, *, label: str = "", scope: str = "read", days: int = 90, person: str | None = None
    ) -> tuple[Token, str]:
        """A token for a program, and its secret, which is shown this once and nowhere kept."""
        from rag.accounts import tokens

        return tokens.make(self._catalogue, name, label=label, scope=scope, days=days, by=person)

    def revoke_token(self, token: str, *, person: str | None = None) -> None:
        """A token counts no more, at once."""
        from rag.accounts import tokens

        tokens.revoke(self._catalogue, token, by=person)

    def my_tokens(self, *, person: str | None = None) -> list[Token]:
        """One's own."""
        return self.tokens(_somebody(person))

    def make_my_token(
        self, *, label: str = "", scope: str = "read", days: int = 90, person: str | None = None
    ) -> tuple[Token, str]:
        """One for oneself."""
        return self.make_token(_somebody(person), label=label, scope=scope, days=days, person=person)

    def revoke_my_token(self, token: str, *, person: str | None = None) -> None:
        """One of one's own. Raises NotFound, also for another person's."""
        from rag.accounts import tokens

        tokens.revoke(self._catalogue, token, name=_somebody(person), by=person)

    def _replaced_by(self, name: str, collection: str) -> Document | None:
        """The document that an upload of this name would replace."""
        from rag.discover import UPLOAD, upload_path

        return self._catalogue.current(collection, UPLOAD, upload_path(name))

    if TYPE_CHECKING:

        def _parts(self) -> Parts:
            """Of `Opening`."""


def _somebody(person: str | None) -> str:
    if person is None:
        raise NotFound("the owner of the files has no account of their own: name a person")
    return person

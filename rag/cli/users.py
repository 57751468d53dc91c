"""Commands about people: `rag user` add, list, role, password, remove, group, token; grant, revoke, open, readers.

Takes   names as people sign in with them; holders of rights are names or `group:NAME`.
Gives   who stands in the library and what they may. A password or token that was made is printed this once.
Whoever runs these commands owns the library's files, and is asked for no password: see docs/rights.md.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from rag.cli.options import Collection, Index, Json, as_json, library, table
from rag.errors import SettingsError
from rag.library import ROLES, SCOPES, Library

user = typer.Typer(help="People with accounts, their groups, tokens and rights.", no_args_is_help=True)
token = typer.Typer(help="Tokens for programs: made, listed, revoked.", no_args_is_help=True)
user.add_typer(token, name="token")

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `rag user list` shows it.")]
Holder = Annotated[str, typer.Argument(metavar="HOLDER", help="A name, or group:NAME.")]
Of = Annotated[str, typer.Argument(metavar="COLLECTION", help="As `rag documents` shows it.")]
Typed = Annotated[bool, typer.Option("--type-it", help="Ask for the password here instead of making one.")]


@user.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What they sign in with.")],
    role: Annotated[str, typer.Option(help=", ".join(ROLES))] = ROLES[0],
    identity: Annotated[str | None, typer.Option(help="E-mail address of the company's sign-in: no password.")] = None,
    type_it: Typed = False,
    index: Index = None,
) -> None:
    """Give somebody an account. The first person becomes an administrator, and from then on everybody needs one."""
    with library(index, existing=False) as opened:
        first = not opened.accounts()
        password = _typed() if type_it else None
        added, made = opened.add_person(name, role, password=password, identity=identity)
    typer.echo(f"{added.name}: {added.role}")
    if made:
        typer.echo(f"Password: {made}\nIt is shown this once, and changed when {added.name} first signs in.")
    if first:
        typer.echo(
            "This library has accounts now: its pages ask who is there, and programs need a token (rag user token).\n"
            "Who runs the `rag` commands here owns the files and is not asked."
        )


@user.command("list")
def list_(index: Index = None, json: Json = False) -> None:
    """List everybody with an account."""
    with library(index) as opened:
        found = opened.people()
    if json:
        as_json({"people": [asdict(one) for one in found]})
        return
    if not found:
        typer.echo("Nobody: whoever reaches this library is its owner. `rag user add NAME` makes an administrator.")
        return
    rows = [
        (
            one.name,
            one.role if one.active else "removed",
            ", ".join(one.groups),
            one.identity or "",
            one.created_at[:10],
        )
        for one in found
    ]
    table(rows, ("name", "role", "groups", "signs in elsewhere as", "since"))


@user.command()
def role(name: Name, role: Annotated[str, typer.Argument(help=", ".join(ROLES))], index: Index = None) -> None:
    """Make somebody a reader, reviewer or administrator."""
    with library(index) as opened:
        changed = opened.set_role(name, role)
    typer.echo(f"{changed.name}: {changed.role}")


@user.command()
def password(name: Name, type_it: Typed = False, index: Index = None) -> None:
    """Give somebody another password and sign them out everywhere. Also ends a lock after wrong passwords."""
    with library(index) as opened:
        made = opened.reset_password(name, password=_typed() if type_it else None)
    if made:
        typer.echo(f"Password: {made}\nIt is shown this once, and changed when {name} first signs in.")
    else:
        typer.echo("Changed.")


@user.command()
def remove(name: Name, index: Index = None) -> None:
    """Close an account at once: password, sessions, tokens, groups and rights go. The name stays taken."""
    with library(index) as opened:
        opened.remove_person(name)
    typer.echo(f"{name}: removed")


@user.command()
def group(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="It begins with its first member.")],
    names: Annotated[list[str], typer.Argument(metavar="NAME...")],
    leave: Annotated[bool, typer.Option("--leave", help="They leave it instead.")] = False,
    index: Index = None,
) -> None:
    """Put people into a group, or with --leave take them out."""
    with library(index) as opened:
        for name in names:
            changed = (opened.take_out_of_group if leave else opened.put_in_group)(group, name)
            typer.echo(f"{changed.name}: {', '.join(changed.groups) or 'in no group'}")


# --- rights -----------------------------------------------------------------------------------------------------------


@user.command()
def grant(
    collection: Of,
    holder: Holder,
    write: Annotated[bool, typer.Option("--write", help="They may also add and remove documents.")] = False,
    index: Index = None,
) -> None:
    """Let somebody read a collection. Its first right closes it to everybody who has none."""
    with library(index) as opened:
        opened.grant(collection, holder, writes=write)
        _tell(opened, collection)


@user.command()
def revoke(collection: Of, holder: Holder, index: Index = None) -> None:
    """Take a right to a collection back."""
    with library(index) as opened:
        opened.revoke(collection, holder)
        _tell(opened, collection)


@user.command("open")
def open_(collection: Of, index: Index = None) -> None:
    """Let everybody of the library read a collection."""
    with library(index) as opened:
        opened.open_collection(collection)
        _tell(opened, collection)


@user.command()
def rights(index: Index = None, json: Json = False) -> None:
    """List who has a right to which collection. One that is not listed is open to everybody of the library."""
    with library(index) as opened:
        found = opened.rights()
    if json:
        as_json({"collections": found})
    else:
        rows = [(name, holder, _right(writes)) for name, held in found.items() for holder, writes in held.items()]
        table(rows, ("collection", "holder", "may"))


@user.command()
def readers(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="The name that `rag documents` shows.")],
    holders: Annotated[list[str] | None, typer.Argument(metavar="HOLDER...", help="Names, or group:NAME.")] = None,
    everybody: Annotated[bool, typer.Option("--everybody", help="All who may read its collection.")] = False,
    collection: Collection = None,
    index: Index = None,
) -> None:
    """Say who may read one document, among those who may read its collection; without HOLDERs, show it."""
    if holders and everybody:
        raise SettingsError("name holders, or --everybody")
    with library(index) as opened:
        if holders or everybody:
            opened.set_readers(document, holders or [], collection=collection)
        found = opened.readers_of(document, collection=collection)
    typer.echo(", ".join(found) or "everybody who may read its collection")


# --- tokens -----------------------------------------------------------------------------------------------------------


@token.command("make")
def make_token(
    name: Name,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    scope: Annotated[str, typer.Option(help=" or ".join(SCOPES))] = SCOPES[0],
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days until it expires.")] = 90,
    index: Index = None,
    json: Json = False,
) -> None:
    """Make a token with which a program speaks for somebody. It is printed this once."""
    with library(index) as opened:
        made, secret = opened.make_token(name, label=label, scope=scope, days=days)
    if json:
        as_json({"token": secret, **asdict(made)})
    else:
        typer.echo(f"{secret}\nIt is shown this once; it counts until {made.expires_at[:10]}. Id: {made.id}")


@token.command("list")
def list_tokens(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only theirs.")] = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """List the tokens that count."""
    with library(index) as opened:
        found = opened.tokens(name)
    if json:
        as_json({"tokens": [asdict(one) for one in found]})
    else:
        rows = [(one.id, one.person, one.scope, one.label, one.expires_at[:10], one.used_at or "") for one in found]
        table(rows, ("id", "person", "scope", "label", "until", "last used"))


@token.command("revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(metavar="ID", help="As `rag user token list` prints it.")],
    index: Index = None,
) -> None:
    """Let a token count no more, at once."""
    with library(index) as opened:
        opened.revoke_token(token)
    typer.echo("Revoked.")


def _typed() -> str:
    """A password that is typed twice, or piped in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


def _right(writes: bool) -> str:
    return "read and write" if writes else "read"


def _tell(opened: Library, collection: str) -> None:
    held = opened.rights().get(collection)
    if held is None:
        typer.echo(f"{collection}: everybody of the library reads it")
    else:
        typer.echo(f"{collection}: " + ", ".join(f"{holder} ({_right(writes)})" for holder, writes in held.items()))
    if not opened.accounts():
        typer.echo("Nobody has an account yet, so whoever reaches this library is its owner: rag user add NAME")

"""People: who has an account, with which role and in which groups; which collections are for whom. For administrators.

Takes   the library in an administrator's hands.
Gives   drawn elements. A password that was made is shown this once. What else there is to change, `rag user` changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app_pages import browser, prose
from rag.errors import GroundlingError
from rag.library import ROLES, Library, Person
from rag.types import DEFAULT_COLLECTION

OUTCOME, MADE = "people-outcome", "password-made"
GROUP = "group:"
RIGHTS = {False: "may read", True: "may read and write"}
OPEN = "A collection that is not listed is open to everybody here; only administrators change its documents."


def main() -> None:
    """The page."""
    library: Library = st.session_state["library"]
    st.html('<h1 class="gl-page">People</h1>')
    if outcome := st.session_state.pop(OUTCOME, None):
        st.html(prose.notice(*outcome))
    if made := st.session_state.pop(MADE, None):
        name, password = made
        st.html(
            prose.notice(f"The password of {name}. It is shown this once, and changed at the first sign-in.", "good")
        )
        st.code(password, language=None)
        browser.copy_button(password, "copy-password")
    people = [person for person in library.people() if person.active]
    with st.container(key="people", gap=None):
        for person in people:
            _draw_person(library, person)
    _draw_adding(library)
    _draw_rights(library, people)


def _draw_person(library: Library, person: Person) -> None:
    facts = [person.role, *person.groups]
    if person.identity:
        facts.append(person.identity)
    if person.temporary:
        facts.append("has not signed in yet")
    with st.container(horizontal=True, vertical_alignment="center", key=f"row-person-{person.name}", wrap=False):
        st.html(
            f'<div class="gl-document"><strong>{prose.escape(person.name)}</strong>'
            f"<span>{prose.escape(' · '.join(facts))}</span></div>"
        )
        if st.button("Change", key=f"change-{person.name}", type="tertiary", icon=":material/edit:"):
            _change(library, person)


@st.dialog("Change", icon=":material/edit:", on_dismiss="rerun")
def _change(library: Library, person: Person) -> None:
    """Role and groups; a new password; the end of the account."""
    st.html(prose.plain(person.name, "body"))
    with st.form("change-person", border=False):
        role = st.selectbox("Role", ROLES, index=ROLES.index(person.role), key=f"role-{person.name}")
        groups = st.text_input("Groups", ", ".join(person.groups), key=f"groups-{person.name}", help="hr, board")
        if st.form_submit_button("Save", key="change-send", type="primary"):
            wanted = {group.strip().lower() for group in groups.split(",") if group.strip()}
            _do(lambda: _set(library, person, role, wanted))
    with st.container(horizontal=True, key="person-buttons"):
        if st.button("New password", key="reset", icon=":material/key:"):
            _do(lambda: st.session_state.update({MADE: (person.name, library.reset_password(person.name))}))
        if st.button("Remove account", key="remove-person", icon=":material/person_remove:"):
            _do(lambda: library.remove_person(person.name), f"{person.name} can no longer sign in.")


def _set(library: Library, person: Person, role: str, groups: set[str]) -> None:
    if role != person.role:
        library.set_role(person.name, role)
    for group in groups - set(person.groups):
        library.put_in_group(group, person.name)
    for group in set(person.groups) - groups:
        library.take_out_of_group(group, person.name)


def _draw_adding(library: Library) -> None:
    st.html('<h2 class="gl-section">Add somebody</h2>')
    with st.form("add-person", border=False, clear_on_submit=True):
        name = st.text_input("Name", key="person-name", max_chars=64, help="What they sign in with")
        role = st.selectbox("Role", ROLES, key="person-role")
        identity = st.text_input(
            "E-mail address of the company’s sign-in", key="person-identity", help="Empty: a password is made for them"
        )
        if st.form_submit_button("Add", key="person-send", type="primary") and name.strip():
            _do(lambda: _add(library, name, role, identity.strip() or None), f"{name.strip().lower()} is added.")


def _add(library: Library, name: str, role: str, identity: str | None) -> None:
    person, made = library.add_person(name, role, identity=identity)
    if made:
        st.session_state[MADE] = (person.name, made)


def _draw_rights(library: Library, people: list[Person]) -> None:
    """Who has a right to which collection."""
    st.html('<h2 class="gl-section">Collections</h2>' + prose.plain(OPEN))
    held = library.rights()
    with st.container(key="rights", gap=None):
        for collection, holders in held.items():
            for holder, writes in holders.items():
                _draw_right(library, collection, holder, writes=writes)
    groups = sorted({group for person in people for group in person.groups})
    collections = sorted({DEFAULT_COLLECTION, *held, *(document.collection for document in library.documents())})
    with st.form("grant", border=False):
        collection = st.selectbox("Collection", collections, key="grant-collection", accept_new_options=True)
        options = [*(person.name for person in people), *(GROUP + group for group in groups)]
        holder = st.selectbox("Person or group", options, key="grant-holder")
        writes = st.selectbox("Right", (False, True), key="grant-right", format_func=lambda one: RIGHTS[one])
        if st.form_submit_button("Give the right", key="grant-send") and collection and holder:
            _do(lambda: library.grant(collection, holder, writes=writes))


def _draw_right(library: Library, collection: str, holder: str, *, writes: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"row-right-{collection}-{holder}", wrap=False):
        st.html(
            f'<div class="gl-document"><strong>{prose.escape(collection)}</strong>'
            f"<span>{prose.escape(f'{holder} {RIGHTS[writes]}')}</span></div>"
        )
        if st.button("Take back", key=f"revoke-{collection}-{holder}", type="tertiary", icon=":material/delete:"):
            _do(lambda: library.revoke(collection, holder))


def _do(change: Callable[[], Any], words: str = "") -> None:
    """Change something and draw anew, with what became of it."""
    try:
        change()
    except GroundlingError as error:
        st.session_state[OUTCOME] = (str(error), "error")
    else:
        if words:
            st.session_state[OUTCOME] = (words, "good")
    st.rerun()


main()

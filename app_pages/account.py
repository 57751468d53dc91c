"""One's own account: the password, tokens for programs, what is remembered, how long conversations stay, signing out.

Takes   the library in this person's hands.
Gives   drawn elements. A password that somebody else made is changed here before anything else can be done.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app_pages import browser, keeping, prose, signing
from app_pages.opening import open_library
from rag.errors import GroundlingError
from rag.library import SCOPES, Library, Token

SAYS = {"read": "search, ask, read and judge", "write": "also add and remove documents, where you may"}
MADE, OUTCOME = "token-made", "account-outcome"


def main() -> None:
    """The page."""
    library: Library = st.session_state["library"]
    account = library.account
    assert account is not None, "the page is listed where there are accounts"
    st.html('<h1 class="gl-page">Account</h1>')
    groups = f" · {', '.join(account.groups)}" if account.groups else ""
    st.html(prose.plain(f"Signed in as {account.name} · {account.role}{groups}", "caption"))
    st.button("Sign out", key="sign-out", icon=":material/logout:", on_click=signing.leave, args=(open_library(),))
    if outcome := st.session_state.pop(OUTCOME, None):
        st.html(prose.notice(*outcome))
    if account.has_password:
        draw_password(library, temporary=account.temporary)
    if account.temporary:
        return
    draw_tokens(library)
    keeping.draw_memory(library)
    keeping.draw_retention(library)


def draw_password(library: Library, *, temporary: bool) -> None:
    """Change it. One signs in again with the new one."""
    st.html('<h2 class="gl-section">Password</h2>')
    if temporary:
        st.html(prose.notice("Your password was made by somebody else. Choose your own, then sign in with it."))
    with st.form("password", border=False):
        old = st.text_input("Password now", key="password-old", type="password", autocomplete="current-password")
        new = st.text_input(
            "New password",
            key="password-new",
            type="password",
            autocomplete="new-password",
            help="10 characters or more",
        )
        again = st.text_input("New password again", key="password-again", type="password", autocomplete="new-password")
        pressed = st.form_submit_button("Change password", key="password-send", type="primary")
    if not pressed:
        return
    if new != again:
        st.html(prose.notice("The two new passwords differ.", "error"))
        return
    try:
        library.change_password(old, new)
    except GroundlingError as error:
        st.html(prose.notice(str(error), "error"))
        return
    signing.leave(open_library())
    st.session_state[signing.SAY] = ("Changed. Sign in with the new password.", "good")
    st.rerun()


def draw_tokens(library: Library) -> None:
    """Tokens that count, and a form for a new one, whose secret is shown once."""
    st.html('<h2 class="gl-section">Tokens for programs</h2>')
    st.html(prose.plain("A program that sends one is answered as you are. Send it as “Authorization: Bearer …”."))
    if made := st.session_state.pop(MADE, None):
        st.html(prose.notice("Copy it now: it is shown this once.", "good"))
        st.code(made, language=None)
        browser.copy_button(made, "copy-token")
    with st.container(key="tokens", gap=None):
        for token in library.my_tokens():
            _draw_token(library, token)
    with st.form("token", border=False, clear_on_submit=True):
        label = st.text_input("What it is for", key="token-label", max_chars=100, placeholder="Nightly report")
        with st.container(horizontal=True, vertical_alignment="bottom", key="token-line"):
            scope = st.selectbox("It may", SCOPES, key="token-scope", format_func=lambda one: SAYS[one])
            days = st.selectbox("For", (7, 30, 90, 365), index=2, key="token-days", format_func=lambda d: f"{d} days")
        if st.form_submit_button("Make a token", key="token-send"):
            _do(lambda: st.session_state.update({MADE: library.make_my_token(label=label, scope=scope, days=days)[1]}))


def _draw_token(library: Library, token: Token) -> None:
    facts = [token.scope, f"until {prose.day(token.expires_at)}"]
    facts.append(f"last used {prose.day(token.used_at)}" if token.used_at else "never used")
    with st.container(horizontal=True, vertical_alignment="center", key=f"row-token-{token.id}", wrap=False):
        st.html(
            f'<div class="gl-document"><strong>{prose.escape(token.label or token.id)}</strong>'
            f"<span>{prose.escape(' · '.join(facts))}</span></div>"
        )
        if st.button("Revoke", key=f"revoke-{token.id}", type="tertiary", icon=":material/delete:"):
            _do(lambda: library.revoke_my_token(token.id))


def _do(change: Any) -> None:
    try:
        change()
    except GroundlingError as error:
        st.session_state[OUTCOME] = (str(error), "error")
    st.rerun()


main()

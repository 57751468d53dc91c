"""Signing in: with a name and a password, or with the company's own sign-in; the session that lasts; signing out.

    cookie or tab ─► library.signed_in ─► the library in this person's hands ─► the pages

Takes   the library of the process, and whoever is looking.
Gives   `enter`: the library as this person has it, and None until they have signed in. Without accounts it is the
        owner's, with nothing to sign in to, as long as only this computer reaches the pages.
Session its secret lives in a cookie of this site (SameSite=Strict, for a week at most), which a script of ours sets: no
        other script runs here. The library keeps its hash, ends it (`session_hours`), and is asked at each touch.
Company `st.login` (OpenID Connect) where .streamlit/secrets.toml has an [auth] section: docs/rights.md. Its e-mail
        address must be verified and belong to an account; nobody gets one by signing in.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import streamlit as st

from app_pages import browser, prose
from rag.errors import GroundlingError, NotFound, SettingsError
from rag.library import Library

LOCAL = ("localhost", "127.0.0.1", "::1")
COOKIE = "groundling_session"
SECRET, ENDED, SAY = "session-secret", "session-ended", "signing-says"
OVER = "You were signed out: the session is over."
WEEK_S = 7 * 24 * 3600


def enter(library: Library) -> Library | None:
    """The library in the hands of whoever is looking; None while the form to sign in is drawn instead."""
    if not library.accounts():
        _refuse_strangers()
        return library
    with st.container(key="unseen-cookie"):
        _put_cookie()
    if person := _company(library):
        return library.for_person(person)
    secret = _secret()
    found = library.signed_in(secret) if secret else None
    if found is None:
        if secret and st.session_state.pop(SECRET, None):
            st.session_state[SAY] = (OVER, "warning")
        draw_form(library)
        return None
    return library.for_person(found.name)


def leave(library: Library) -> None:
    """Sign out, in this browser."""
    if secret := _secret():
        library.sign_out(secret)
    st.session_state.clear()
    st.session_state[ENDED] = uuid4().hex
    if _user().get("is_logged_in"):
        st.logout()


def draw_form(library: Library) -> None:
    """Name and password; the company's sign-in where there is one."""
    with st.container(key="signing", gap="small"):
        st.html('<h1 class="gl-hello">Sign in</h1>' + prose.plain("These documents are for people with an account."))
        place = st.empty()
        with st.form("sign-in", border=False):
            name = st.text_input("Name", key="sign-in-name", max_chars=64, autocomplete="username")
            password = st.text_input(
                "Password", key="sign-in-password", type="password", max_chars=200, autocomplete="current-password"
            )
            pressed = st.form_submit_button("Sign in", key="sign-in-send", type="primary", width="stretch")
        if company := _providers():
            st.html(prose.plain("or"))
            for provider, label in company.items():
                if st.button(label, key=f"company-{provider}", width="stretch"):
                    st.login(None if provider == "auth" else provider)
        if pressed and name.strip() and password:
            try:
                st.session_state[SECRET] = library.sign_in(name, password).secret
                st.session_state.pop(ENDED, None)
                st.rerun()
            except GroundlingError as error:
                st.session_state[SAY] = (str(error), "error")
        if said := st.session_state.pop(SAY, None):
            place.html(prose.notice(*said))


# --- how it is known --------------------------------------------------------------------------------------------------


def _secret() -> str | None:
    """Of this tab, else of the cookie that came with it; after signing out, none."""
    if ENDED in st.session_state:
        return None
    held = st.session_state.get(SECRET) or _cookie()
    if held:
        st.session_state[SECRET] = held
    return held


def _cookie() -> str | None:
    """As the browser sent it when the page was opened."""
    sent = st.context.cookies.get(COOKIE)
    return sent if isinstance(sent, str) else None  # Streamlit's test runner has no browser, and gives anything


def _put_cookie() -> None:
    """Keep the secret for the next tab and the next reload, or take it away."""
    if ENDED in st.session_state:
        browser.set_cookie(COOKIE, "", 0, token=st.session_state[ENDED])
    elif (secret := st.session_state.get(SECRET)) and _cookie() != secret:
        browser.set_cookie(COOKIE, secret, WEEK_S, token=secret[:8])


def _company(library: Library) -> str | None:
    """Who the company's sign-in says this is. Raises NotFound for somebody without an account."""
    user = _user()
    if not user.get("is_logged_in"):
        return None
    hours = library.settings.session_hours
    if time.time() - float(user.get("iat") or 0) > hours * 3600:
        st.logout()
    address = str(user.get("email") or "")
    found = library.known_as(address) if address and user.get("email_verified", True) else None
    if found is None:
        if st.button("Sign in as somebody else", key="company-leave"):
            st.logout()
        raise NotFound(f"{address or 'You'}: no account here. Ask an administrator for one")
    return found.name


def _user() -> dict[str, Any]:
    return dict(st.user.to_dict()) if _providers() else {}


def _providers() -> dict[str, str]:
    """The company's sign-ins as .streamlit/secrets.toml names them, with the words of their buttons."""
    try:
        configured = dict(st.secrets.get("auth", {}))
    except FileNotFoundError:
        return {}
    named = [name for name, value in configured.items() if hasattr(value, "keys")]
    if named:
        return {name: f"Sign in with {name.replace('_', ' ').capitalize()}" for name in named}
    return {"auth": "Sign in with your company"} if configured.get("client_id") else {}


def from_here() -> bool:
    """Does only this computer reach the pages, and was this one asked for by a name of this computer?"""
    sent = st.context.headers.get("Host")
    return _address() in LOCAL and (not isinstance(sent, str) or urlsplit(f"//{sent}").hostname in LOCAL)


def _address() -> str:
    return str(st.get_option("server.address") or "0.0.0.0")  # noqa: S104 - what Streamlit does without one


def _refuse_strangers() -> None:
    """Pages that other machines can reach belong to people who sign in."""
    address = _address()
    if address not in LOCAL and isinstance(st.context.headers.get("Host"), str):  # else there is nobody to refuse
        raise SettingsError(
            f"Other machines can reach these pages (address {address}), and this library has no accounts: everybody "
            "would be its owner. Start them with `rag app --address ...`, which makes the first account, or with "
            "--server.address localhost"
        )

"""A choice that stands in the address, so that a link or a reload comes back to it.

Streamlit's own binding of widgets to the address forbids leaving the page by code; this one does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st


def choice(label: str, options: Sequence[str], *, key: str, default: str) -> str:
    """One of a few options, in a row; `key` is also its name in the address, where the default does not stand."""
    wanted = st.query_params.get(key, default)
    first = default if wanted not in options else wanted
    if st.session_state.get(key) is None:  # also where the browser has forgotten it: the address has not
        st.session_state[key] = first
    chosen = str(
        st.segmented_control(
            label,
            options,
            required=True,
            key=key,
            format_func=lambda name: name[:1].upper() + name[1:],
            label_visibility="collapsed",
        )
        or first
    )
    if chosen != default:
        st.query_params[key] = chosen
    else:
        st.query_params.pop(key, None)
    return chosen

"""What the gate said of a candidate: the outcome in plain words, and every figure behind it.

Takes   the gate's report as a run keeps it.
Gives   a notice, the reasons, a table of figures for the current model and the candidate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app_pages import prose


def draw(report: Mapping[str, Any]) -> None:
    """The outcome, why, and the figures."""
    promoted = bool(report.get("promoted"))
    st.html(prose.notice(str(report.get("verdict", "")), "good" if promoted else "warning"))
    with st.expander("The figures", key="gate-figures", type="compact"):
        st.json(dict(report))

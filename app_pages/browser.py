"""What only JavaScript can do: copy to the clipboard, scroll to something, set the cursor, fold the sidebar away.

The scripts are constants; what people or documents wrote reaches them as data and never becomes markup.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

_COPY_CSS = """
button {
  font: inherit; font-size: 0.875rem; color: inherit; background: none; border: 0; cursor: pointer;
  padding: 0.25rem 0.5rem; min-height: 2.25rem; border-radius: var(--st-button-radius, 0.5rem); opacity: 0.75;
  white-space: nowrap;
}
button:hover { opacity: 1; color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); opacity: 1; }
"""

_COPY_JS = """
export default function ({ parentElement, data }) {
  const button = parentElement.querySelector("button");
  button.textContent = "Copy";
  button.onclick = async () => {
    let copied = true;
    try {
      await navigator.clipboard.writeText(data.text);
    } catch {  // no clipboard on a plain http address of another machine: the old way still works there
      const area = document.createElement("textarea");
      area.value = data.text;
      document.body.appendChild(area);
      area.select();
      copied = document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.textContent = copied ? "Copied" : "Select and copy by hand";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
}
"""

_LOOK_JS = """
const seen = new Set();
const scrollTo = (found, block) => {  // scrollIntoView would also shift the app's own frame
  let frame = found.parentElement;
  while (frame && !(["auto", "scroll"].includes(getComputedStyle(frame).overflowY)
                    && frame.scrollHeight > frame.clientHeight + 1)) frame = frame.parentElement;
  if (!frame) return;
  const [mine, around] = [found.getBoundingClientRect(), frame.getBoundingClientRect()];
  const above = block === "start" ? 72 : Math.max(72, (around.height - mine.height) / 2);
  frame.scrollTop += mine.top - around.top - above;
};
export default function ({ parentElement, data }) {
  if (seen.has(data.token)) return;  // a rerun draws this element again: nobody wants to be moved again
  let tries = 60;  // what is looked for is drawn by other elements, a few frames earlier or later
  let cancelled = false;
  const look = () => {
    if (cancelled) return;
    const found = [...document.querySelectorAll(data.selector)].pop();
    if (found) {
      seen.add(data.token);
      if (data.focus) { if (matchMedia("(pointer: fine)").matches) found.focus({ preventScroll: true }); }
      else scrollTo(found, data.block);
    } else if (tries-- > 0) requestAnimationFrame(look);
  };
  const timer = setTimeout(look, 80);
  return () => { cancelled = true; clearTimeout(timer); };
}
"""

_FOLD_JS = """
const done = new Set();
export default function ({ data }) {
  if (done.has(data.token)) return;
  done.add(data.token);
  if (window.innerWidth <= 768) document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
}
"""


@st.cache_resource(show_spinner=False)
def _components() -> tuple[Any, Any, Any]:
    """Registered once a process: registering again warns."""
    copy = st.components.v2.component(
        "groundling_copy", html='<button type="button">Copy</button>', css=_COPY_CSS, js=_COPY_JS
    )
    fold = st.components.v2.component("groundling_fold", html="<span></span>", js=_FOLD_JS)
    look = st.components.v2.component("groundling_look", html="<span></span>", js=_LOOK_JS)
    return copy, look, fold


def copy_button(text: str, key: str) -> None:
    """A button that puts `text` on the clipboard."""
    copy, _, _ = _components()
    copy(key=key, data={"text": text}, width="content")


def bring_into_view(selector: str, key: str, token: str, block: str = "center") -> None:
    """Scroll to the last element that `selector` finds, once for each `token`."""
    _, look, _ = _components()
    look(key=key, data={"selector": selector, "token": token, "block": block, "focus": False}, height=1)


def focus(selector: str, key: str, token: str) -> None:
    """Put the cursor there, once for each `token`; not on touch screens, where a keyboard would spring up."""
    _, look, _ = _components()
    look(key=key, data={"selector": selector, "token": token, "block": "center", "focus": True}, height=1)


def fold_sidebar(key: str, token: str) -> None:
    """Where the sidebar covers the page (on a telephone), close it, once for each `token`."""
    _, _, fold = _components()
    fold(key=key, data={"token": token}, height=1)

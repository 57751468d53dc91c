"""What only JavaScript can do: copy, scroll to something, set the cursor or a cookie, fold the sidebar, select words.

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

_COOKIE_JS = """
const done = new Set();
export default function ({ data }) {
  if (done.has(data.token)) return;
  done.add(data.token);
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${data.name}=${data.value}; Path=/; SameSite=Strict; Max-Age=${data.seconds}${secure}`;
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


_SELECT_CSS = """
button {
  font: inherit; font-size: 0.9rem; width: 100%; text-align: left; color: inherit; cursor: pointer;
  background: color-mix(in srgb, var(--st-primary-color) 12%, transparent);
  border: 1px solid color-mix(in srgb, var(--st-primary-color) 45%, transparent);
  padding: 0.5rem 0.85rem; min-height: 2.75rem; border-radius: var(--st-button-radius, 0.5rem);
  overflow: hidden; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical;
}
button:disabled { cursor: default; opacity: 0.7; background: none; border-style: dashed; border-color: currentColor; }
button:focus-visible { outline: 2px solid var(--st-primary-color); }
"""

_SELECT_JS = """
// Where a point of the selection stands in the document, in characters as Python counts them.
const at = (leaf, node, offset) => {
  if (node === leaf) {
    const line = leaf.children[Math.min(offset, leaf.children.length - 1)];
    return Number(line.dataset.at) + (offset < leaf.children.length ? 0 : [...line.textContent].length);
  }
  const line = (node.nodeType === Node.TEXT_NODE ? node.parentElement : node).closest("[data-at]");
  if (!line) return null;
  const before = document.createRange();
  before.setStart(line, 0);
  before.setEnd(node, offset);
  return Number(line.dataset.at) + [...before.toString()].length;
};
export default function ({ parentElement, data, setTriggerValue }) {
  const button = parentElement.querySelector("button");
  let place = null;
  const show = (words) => {
    button.disabled = !place;
    button.textContent = place ? `These are the right words: “${words}”` : data.waiting;
  };
  const look = () => {
    const chosen = document.getSelection();
    const leaf = [...document.querySelectorAll(data.selector)].pop();
    if (!leaf || !chosen.rangeCount || !leaf.contains(chosen.anchorNode) || !leaf.contains(chosen.focusNode)) return;
    const range = chosen.getRangeAt(0);
    const start = at(leaf, range.startContainer, range.startOffset);
    const end = at(leaf, range.endContainer, range.endOffset);
    const words = chosen.toString().trim().replace(/\\s+/g, " ");
    place = start !== null && end !== null && start < end && words ? { start, end } : null;
    show(words);
  };
  button.onpointerdown = (event) => event.preventDefault();  // a press must not take the selection away
  button.onclick = () => { if (place) setTriggerValue("marked", place); };
  show("");
  look();
  document.addEventListener("selectionchange", look);
  return () => document.removeEventListener("selectionchange", look);
}
"""


@st.cache_resource(show_spinner=False)
def _selecting() -> Any:
    """Registered once a process: registering again warns."""
    return st.components.v2.component(
        "groundling_select", html='<button type="button" disabled></button>', css=_SELECT_CSS, js=_SELECT_JS
    )


def select_words(selector: str, key: str, waiting: str) -> tuple[int, int] | None:
    """A button for the words that are selected in a leaf: where they stand, in the run in which it is pressed.

    The numbers come from a browser: whoever takes them reads the words out of the document and checks the rest.
    """
    pressed = _selecting()(
        key=key, data={"selector": selector, "waiting": waiting}, on_marked_change=lambda: None, width="stretch"
    ).marked
    if not isinstance(pressed, dict):
        return None
    try:
        return int(pressed["start"]), int(pressed["end"])
    except (KeyError, TypeError, ValueError):
        return None


@st.cache_resource(show_spinner=False)
def _components() -> tuple[Any, Any, Any]:
    """Registered once a process: registering again warns."""
    copy = st.components.v2.component(
        "groundling_copy", html='<button type="button">Copy</button>', css=_COPY_CSS, js=_COPY_JS
    )
    fold = st.components.v2.component("groundling_fold", html="<span></span>", js=_FOLD_JS)
    look = st.components.v2.component("groundling_look", html="<span></span>", js=_LOOK_JS)
    return copy, look, fold


@st.cache_resource(show_spinner=False)
def _cookie() -> Any:
    """Registered once a process: registering again warns."""
    return st.components.v2.component("groundling_cookie", html="<span></span>", js=_COOKIE_JS)


def set_cookie(name: str, value: str, seconds: int, *, token: str) -> None:
    """Keep a value in the browser for so long (0: take it away), once for each `token`."""
    _cookie()(key="cookie", data={"name": name, "value": value, "seconds": seconds, "token": token}, height=1)


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

"""Groundling: chat with documents, answered by a small model that the company owns.

    import rag
    with rag.open("indexes/hr") as library:
        library.add("handbook/")
        print(library.ask("How many days of leave do I have?").text)

The names below load at first use, so that `import rag` costs nothing and pulls neither torch nor FAISS.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.errors import GroundlingError
    from rag.library import Library, open
    from rag.types import Answer, Citation, Document, FileReport, Hit

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "Citation",
    "Document",
    "FileReport",
    "GroundlingError",
    "Hit",
    "Library",
    "Settings",
    "__version__",
    "open",
]

_HOMES = {
    "Answer": "rag.types",
    "Citation": "rag.types",
    "Document": "rag.types",
    "FileReport": "rag.types",
    "GroundlingError": "rag.errors",
    "Hit": "rag.types",
    "Library": "rag.library",
    "Settings": "rag.config",
    "open": "rag.library",
}


def __getattr__(name: str) -> Any:
    """Import the module that holds `name`, once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rag' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

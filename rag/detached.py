"""A process that outlives the one that starts it, and its terminal; with the settings of the one that starts it.

Takes   settings, the library's folder.
Gives   how such a process is started, its environment, and whether a process is there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rag.config import HOME, PREFIX, Settings


def lives(process: int) -> bool:
    """Whether there is such a process; where the system cannot be asked without ending it, it is believed."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def apart() -> dict[str, Any]:
    """How a process is started that outlives ours and its terminal."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
        return {"creationflags": flags | subprocess.BELOW_NORMAL_PRIORITY_CLASS}
    return {"start_new_session": True}


def environment(settings: Settings, index: Path) -> dict[str, str]:
    """The library's settings for a process; an endpoint and its key are read by it where we read them."""
    given = {name: getattr(settings, name) for name in Settings.model_fields if name not in ("endpoint", "index")}
    given["index"] = index.resolve()
    given["model"] = settings.model.resolve()
    if settings.query_side is not None and settings.query_side.is_dir():
        given["query_side"] = settings.query_side.resolve()
    written = {name: value.model_dump_json() for name, value in given.items() if isinstance(value, BaseModel)}
    ours = {PREFIX + name.upper(): str(value) for name, value in (given | written).items() if value is not None}
    paths = [str(HOME), os.environ.get("PYTHONPATH", "")]  # a checkout that is not installed finds itself
    return os.environ | ours | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}

"""Finding the student's needle for the final project.

A project stands beside the homeworks and runs on the library of hw4, or on the copy that NEEDLE_HOME
names. `use_needle` puts that library on the import path, and no other.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


class NeedleNotFound(SystemExit):
    """No usable needle: one sentence that names the place looked at and the next step."""


def needle_home(anchor: str | os.PathLike) -> Path:
    """The homework folder whose needle a project uses.

    `NEEDLE_HOME` if it is set, else the `hw4` folder of the course, or of the solved trees, that
    contain `anchor`.

    Raises:
        NeedleNotFound: there is no needle package in that folder.
    """
    chosen = os.environ.get("NEEDLE_HOME")
    if chosen:
        home = Path(chosen).expanduser().resolve()
    else:
        anchor = Path(anchor).resolve()
        holds = lambda folder: (folder / "course.toml").is_file() or (folder / "hw4").is_dir()
        course = next(filter(holds, anchor.parents), None)
        if course is None:
            raise NeedleNotFound(
                f"{anchor} is not inside the course folder, so its hw4 cannot be found: "
                "set NEEDLE_HOME to the folder of your hw4."
            )
        home = course / "hw4"
    if not (home / "python" / "needle" / "__init__.py").is_file():
        raise NeedleNotFound(
            f"There is no needle in {home}: expected python/needle there. "
            "Set NEEDLE_HOME to the folder of your hw4, or run `hw start hw4`."
        )
    return home


def use_needle(anchor: str | os.PathLike) -> Path:
    """Make `import needle` and `import apps` mean the library of `needle_home(anchor)`; return that folder.

    Raises:
        NeedleNotFound: there is no such library, or another needle was imported before.
    """
    home = needle_home(anchor)
    for entry in (home, home / "python"):
        while str(entry) in sys.path:
            sys.path.remove(str(entry))
        sys.path.insert(0, str(entry))
    already = sys.modules.get("needle")
    place = Path(already.__file__ or "") if already is not None else home / "needle"
    if home not in place.resolve().parents:
        raise NeedleNotFound(
            f"needle was already imported from {place}, but this project uses {home}: "
            "call use_needle before the first `import needle`."
        )
    return home

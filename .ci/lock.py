#!/usr/bin/env python3
"""Pin what CI installs: `make lock` writes .ci/requirements.lock anew.

Students install what the ranges in pyproject.toml allow, so that the course gets on with the Python
and the packages that they have. CI installs exact versions, each with its hashes, so that a run
fails because of a change here and not because of a release elsewhere. One file serves Python 3.10
to 3.14 on Linux, macOS and Windows, by markers; it names no registry, so any mirror may serve it.
shared/checks/test_lock.py tells when the file no longer covers the ranges.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ".ci/requirements.lock"
SOURCES = {"pyproject.toml": "staff", "shared/mugrade/pyproject.toml": "test"}
"""Each file of ranges, with the extra that a member of staff installs."""
# Named beside the ranges: pip builds the two editable packages with it, without a download.
BUILD = "setuptools>=77\n"
HEADER = "# Written by `make lock` from the ranges in pyproject.toml; not edited by hand.\n"


def resolve(uv):
    """The pins as text; with newer versions wherever the ranges allow them."""
    command = [uv, "pip", "compile", *SOURCES, "-", "--quiet", "--upgrade"]
    command += [word for extra in SOURCES.values() for word in ("--extra", extra)]
    command += ["--universal", "--python-version", "3.10", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    done = subprocess.run(command, cwd=ROOT, input=BUILD, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"make lock: uv found no versions that fit:\n{done.stderr}")
    return done.stdout


def main():
    with tempfile.TemporaryDirectory(prefix="lock-") as folder:
        venv.create(folder, with_pip=True)
        tools = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin")
        pip = [str(tools / "python"), "-m", "pip", "install", "--quiet", "uv>=0.9,<1"]
        if subprocess.run(pip).returncode:
            raise SystemExit("make lock: uv could not be installed; see the lines above")
        text = resolve(str(tools / "uv"))
    (ROOT / LOCK).write_text(HEADER + text, encoding="utf-8")
    print(f"{LOCK}: {text.count('==')} pins")


if __name__ == "__main__":
    main()

"""Demo of the autograder: staff publish, a student hands in a wrong and a right solution.

Run from inside a solved and built hw0; `--short` changes nothing, it is short already. The grader
runs on a free port of this machine and is gone afterwards.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLAY = Path(__file__).resolve().parents[1] / "mugrade" / "demo.py"
PROBLEMS = "add or softmax_loss"
RIGHT, WRONG = "Z[np.arange(len(y)), y]).mean()", "Z[np.arange(len(y)), y]).sum()"


def wrong_copy(solved, folder):
    """The solved tree with a sum where softmax_loss wants a mean."""
    leave_out = shutil.ignore_patterns("data", "__pycache__", ".*")
    wrong = shutil.copytree(solved, Path(folder, solved.name), ignore=leave_out)
    source = wrong / "src" / "simple_ml.py"
    text = source.read_text(encoding="utf-8")
    if text.count(RIGHT) != 1:
        raise SystemExit(f"demo: src/simple_ml.py no longer holds {RIGHT!r} once")
    source.write_text(text.replace(RIGHT, WRONG), encoding="utf-8")
    return wrong


def main():
    solved = Path.cwd()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="needle-demo-") as folder:
        command = [
            sys.executable,
            str(PLAY),
            "--assignment",
            solved.name,
            "-k",
            PROBLEMS,
            "--solved",
            str(solved),
            "--wrong",
            str(wrong_copy(solved, folder)),
        ]
        status = subprocess.run(command).returncode
    if status:
        raise SystemExit(status)
    row = {
        "what": "autograder: wrong, right, certificate",
        "data": PROBLEMS,
        "result": "as expected",
        "seconds": round(time.perf_counter() - began, 1),
    }
    if path := os.environ.get("NEEDLE_DEMO_ROWS"):
        Path(path).write_text(json.dumps([row]), encoding="utf-8")


if __name__ == "__main__":
    main()

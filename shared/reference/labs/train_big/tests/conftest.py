"""What is under test in this lab; how, says the course's package course_testing."""

import os
import sys
from pathlib import Path

_SHARED = os.environ.get("NEEDLE_SHARED") or Path(__file__).resolve().parents[4] / "shared"
for package in ("course_testing/src", "."):  # for a Python without the course
    sys.path.append(str(Path(_SHARED, package)))
try:
    from course_testing.session import *
except ModuleNotFoundError:
    raise SystemExit(
        "The tests need the course's package course_testing, which is not installed here: keep the "
        "lab in the course's folder, or name that folder's shared/ by NEEDLE_SHARED"
    ) from None
from coursekit.project import use_needle

use_needle(__file__)  # of hw4, or of NEEDLE_HOME
judge(__file__, ["python"], "np")

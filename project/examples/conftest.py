"""Makes needle and each example's own modules importable, whatever folder pytest starts in."""

import sys
from pathlib import Path

from coursekit.project import use_needle

use_needle(__file__)
for tests in sorted(Path(__file__).parent.glob("*/tests")):
    sys.path.insert(0, str(tests.parent))

"""`python -m cluster FILE.py WORDS`: run a program; what is wrong between ranks is told in words.

The same as `python FILE.py WORDS`, without a traceback through the cluster where the message says it
all.
"""

import runpy
import sys
import traceback
from pathlib import Path

from cluster.faults import ClusterError, RankFailed


def main() -> int:
    """Run the program that the first word names; 1 if it does not end well."""
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except RankFailed as error:
        traceback.print_exception(error.__cause__)
        print(error, file=sys.stderr)
        return 1
    except ClusterError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except NotImplementedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

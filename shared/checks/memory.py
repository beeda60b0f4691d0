"""How much memory this process has taken."""

import sys

if sys.platform != "win32":
    import resource


def peak_memory():
    """The most memory that this process has ever had at once, in KiB on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

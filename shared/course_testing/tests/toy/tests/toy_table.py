"""A table beside the test file; it takes names of the module, too."""

import toylib

FUNCTIONS = {"double": (toylib.double, 6), "triple": (toylib.triple, 9)}

"""mugrade: an autograder that compares values instead of running code."""

__version__ = "1.0.0"

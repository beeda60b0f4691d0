"""The course's own tool: stages, rendering, proofs, carrying work over, the `hw` command."""

__version__ = "1.0.0"

"""The course's own tool: stages, rendering, proofs, carrying work over, the `hw` command.

Five rooms, each knowing only those after it:

- cli: reads the command line, shows tables
- staff: renders, proves, releases, publishes; a release leaves its folder out
- student: progress, tests, carrying work over
- datasets: what the homeworks read
- core: the syllabus, trees of files, builds, running programs

`project` and `viz` stand before the rooms: students' own programs and notebooks import them.
"""

__version__ = "1.0.0"

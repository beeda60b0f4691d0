"""needle's lines of code against the course's promise: blank lines, comments, docstrings out."""

from __future__ import annotations

import ast
import io
import tokenize

from coursekit.core.syllabus import Course
from coursekit.staff import render

BUDGET = 2000
_IDLE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def count(text: str) -> int:
    """Lines that hold code; a string over three lines is three, a docstring none."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _IDLE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                lines.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    return len(lines)


def counts(course: Course, package: str = "python/needle") -> dict[str, int]:
    """File -> lines of code of the package as it stands in the last homework, solved.

    Loaders of data sets (`data/`) are not counted: the promise is about the library itself.
    """
    tree = render.render_code(course, course.stages[-1], render.everything)
    return {
        name.removeprefix(f"{package}/"): count(content.decode("utf-8"))
        for name, content in sorted(tree.items())
        if name.startswith(f"{package}/")
        and not name.startswith(f"{package}/data/")
        and name.endswith(".py")
    }

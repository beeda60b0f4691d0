"""needle's size against the course's promise: lines of code, and how densely they are written.

Blank lines, comments and docstrings are neither lines nor tokens.
"""

from __future__ import annotations

import ast
import io
import tokenize
from typing import NamedTuple

from coursekit.core.syllabus import Course
from coursekit.staff import render

BUDGET = 2000  # lines
DENSITY = 10.0  # tokens a line, on average, see the decision on the budget
_IDLE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


class Size(NamedTuple):
    """Of a text: a string over three lines is three lines and one token, a docstring none."""

    lines: int
    tokens: int


def size(text: str) -> Size:
    """Raises ValueError where two statements share a line."""
    tree = ast.parse(text)
    docstrings: set[int] = set()
    starts: dict[int, ast.stmt] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        if starts.setdefault(node.lineno, node) is not node:
            raise ValueError(f"line {node.lineno} holds two statements")
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                docstrings.update(range(node.lineno, (node.end_lineno or 0) + 1))
    tokens = [
        token
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in _IDLE and token.start[0] not in docstrings
    ]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    return Size(len(lines), len(tokens) - _parts_of_f_strings(tokens))


def _parts_of_f_strings(tokens: list[tokenize.TokenInfo]) -> int:
    """How many tokens too many f-strings are: one each until Python 3.11, since then their parts."""
    depth = parts = 0
    for token in tokens:
        name = tokenize.tok_name[token.type]
        parts += depth > 0
        depth += (name == "FSTRING_START") - (name == "FSTRING_END")
    return parts


def count(text: str) -> int:
    """Lines that hold code."""
    return size(text).lines


def sizes(course: Course, package: str = "python/needle") -> dict[str, Size]:
    """File -> size of the package as it stands in the last homework, solved.

    Loaders of data sets (`data/`) are not counted: the promise is about the library itself.
    """
    tree = render.render_code(course, course.counted[-1].id, render.everything)
    return {
        name.removeprefix(f"{package}/"): size(content.decode("utf-8"))
        for name, content in sorted(tree.items())
        if name.startswith(f"{package}/")
        and not name.startswith(f"{package}/data/")
        and name.endswith(".py")
    }

"""needle's lines of code against the course's promise: blank lines, comments, docstrings out."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

from coursekit.syllabus import Course

BUDGET = 2000
_IDLE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
         tokenize.ENCODING, tokenize.ENDMARKER}  # fmt: skip

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def count(text: str) -> int:
    """Lines that hold code; a string over three lines is three, a docstring none."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _IDLE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        has_body = isinstance(node, _DOCUMENTED)
        if has_body and ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            lines.difference_update(range(first.lineno, first.end_lineno + 1))
    return len(lines)


def counts(course: Course, package: str = "python/needle") -> dict[str, int]:
    """File -> lines of code, over the reference's whole package."""
    folder: Path = course.reference / package
    return {
        path.relative_to(folder).as_posix(): count(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.py"))
    }

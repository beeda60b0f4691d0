"""Which function a line of Python belongs to, by the language's own parser."""

from __future__ import annotations

import ast

from coursekit.core.errors import CourseError


def enclosing_functions(
    rows: list[str], spans: list[tuple[int, int]], path: str, numbers: list[int]
) -> list[str]:
    """The qualified name (`Tensor.backward`) of the innermost function around each span.

    Args:
        rows: the text's lines.
        spans: (index of the BEGIN line, index of the END line).
        numbers: for each row its line in the source file, for messages.
    """
    try:
        tree = ast.parse("\n".join(rows))
    except SyntaxError as error:
        at = numbers[min((error.lineno or 1) - 1, len(numbers) - 1)]
        raise CourseError(f"not valid Python: {error.msg}", path, at) from None
    functions = list(_functions(tree, ""))
    return [_enclosing(functions, rows, span, path, numbers) for span in spans]


def _functions(node: ast.AST, prefix: str):
    """(qualified name, first line, last line), outer before inner."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name = prefix + child.name
            yield name, child.lineno, child.end_lineno
            yield from _functions(child, name + ".")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, prefix + child.name + ".")
        else:
            yield from _functions(child, prefix)


def _enclosing(functions, rows, span, path, numbers) -> str:
    start, end = span
    code = [i for i in range(start + 1, end) if rows[i].strip() and rows[i].lstrip()[0] != "#"]
    if not code:
        raise CourseError("the region holds no code", path, numbers[start])
    name = None
    for candidate, first, last in functions:  # lines count from 1, indices from 0
        if first - 1 < start and code[-1] <= last - 1:
            name = candidate
    if name is None:
        raise CourseError(
            "a region must stand inside a function; move the marks into its body",
            path,
            numbers[start],
        )
    return name


def check_parses(text: str, path: str, stage: str) -> None:
    """The rendered file is Python still: no region cuts a statement in two."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise CourseError(
            f"rendered for {stage} it is no valid Python at rendered line {error.lineno} "
            f"({error.msg}); a region must hold whole statements",
            path,
            1,
        ) from None

"""A function that forgot its `return`, named where its None is first used.

Python says "'NoneType' object has no attribute '_handle'" some frames away from the function that
returned nothing. The traceback knows the expression that was None, or that was handed over and was.
"""

import ast
import inspect
import itertools
import linecache


def explain(error):
    """Put the call that gave None into the message of an AttributeError or TypeError, if one did."""
    if "'NoneType' object" not in str(error) or error.__traceback__ is None:
        return
    steps = list(_steps(error.__traceback__))
    nodes = steps[-1][1]
    if not isinstance(error, AttributeError):
        wanted = [sub.value for sub in nodes if isinstance(sub, ast.Subscript)]
    else:
        name = getattr(error, "name", None)
        wanted = [s.value for s in nodes if isinstance(s, ast.Attribute) and s.attr == name]
    culprit = _origin(wanted, steps)
    if culprit is not None:
        call, function = culprit
        says = f"`{call}` is None: does `{function}` return its result?"
        error.args = (f"{says} ({error})",)


def _steps(traceback):
    """[(frame, nodes of the expression that it was at)], the last one where the error came up."""
    while traceback is not None:
        frame, line = traceback.tb_frame, traceback.tb_lineno
        yield frame, _nodes(frame.f_code, line, traceback.tb_lasti)
        traceback = traceback.tb_next


def _nodes(code, line, instruction):
    """The expressions at a line; where Python knows which one it was at (3.11), that one alone."""
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except (SyntaxError, ValueError):
        return []
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.expr) and node.lineno <= line <= node.end_lineno
    ]
    if not hasattr(code, "co_positions"):
        return found
    place = next(itertools.islice(code.co_positions(), instruction // 2, None))
    begin, end, column, last = place
    return [
        node
        for node in found
        if (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
        == (begin, end, column, last)
    ]


def _origin(wanted, steps):
    """(source of the call that was None, name of its function), or None where nobody can tell."""
    if len(wanted) != 1:
        return None
    node = wanted[0]
    if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        return ast.unparse(node), name
    if isinstance(node, ast.Subscript):
        return ast.unparse(node), "__getitem__"
    if isinstance(node, ast.Name):
        *before, (frame, _) = steps
        return _assigned(node, frame) or _origin(_handed_over(node, frame, before), before)
    return None


def _assigned(node, frame):
    """The call whose result a variable holds: of the last assignment above its use."""
    tree = ast.parse("".join(linecache.getlines(frame.f_code.co_filename)))
    above = [
        other
        for other in ast.walk(tree)
        if isinstance(other, ast.Assign)
        and frame.f_code.co_firstlineno <= other.lineno < node.lineno
        and any(isinstance(name, ast.Name) and name.id == node.id for name in other.targets)
    ]
    last = max(above, key=lambda other: other.lineno, default=None)
    return _origin([last.value], []) if last and not isinstance(last.value, ast.Name) else None


def _handed_over(node, frame, before):
    """What the caller wrote for a parameter: an argument of its call, or a side of its operator."""
    names = inspect.getargs(frame.f_code).args
    if node.id not in names or not before:
        return []
    place, found = names.index(node.id), []
    for caller in before[-1][1]:
        if isinstance(caller, ast.BinOp):
            found.append((caller.left, caller.right)[place] if place < 2 else None)
        elif isinstance(caller, ast.Call):
            given = list(caller.args)
            if names[0] == "self" and isinstance(caller.func, ast.Attribute):
                given.insert(0, caller.func.value)
            found += [word.value for word in caller.keywords if word.arg == node.id]
            found += given[place : place + 1]
    return [each for each in found if each is not None]

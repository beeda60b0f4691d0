"""How large the house is, and how well it keeps its own rules: `make house`.

Figures to set beside those of another day: `python shared/checks/runners/house.py TREE` measures
another checkout by the same rules. By hand is every tracked file that .gitattributes does not call
generated; lines are those of text files. Function lengths are of Python only, tests included.
Circles are of imports that run at once: those inside functions, those that only a type checker sees
and those of a package by its own parts (Python imports it first in any case) are left out.

`--limits` measures only what has a limit, and fails beyond it: `make lint` asks for it.
"""

import argparse
import ast
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[3]
CODE = (".py", ".cc", ".cpp", ".cu", ".h")
PACKAGES = {
    "needle": "shared/reference/python/needle",
    "coursekit": "shared/coursekit",
    "mugrade": "shared/mugrade/src/mugrade",
    "cluster": "shared/cluster",
}
ALLOWED_CIRCLE = {"needle.autograd", "needle.ops"}
"""An operator makes Tensors and a Tensor's methods are operators: theirs is a circle by nature."""
MOST_SKIPS = 20
ONCE_GENERATED = ("hw[0-4]/*.cmake", "hw[0-4]/tests/course_testing.py")
"""Rendered in older checkouts, under shared/ today."""
# For a tree of the days before packages had a configuration of their own.
MYPY = ["--ignore-missing-imports", "--check-untyped-defs", "--config-file", "", "--no-incremental"]


def tracked(tree):
    """Names of the tracked files, those that a deletion not yet committed took aside."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=tree, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (tree / name).is_file()]


def generated():
    """The patterns that this checkout's .gitattributes calls generated."""
    text = (ROOT / ".gitattributes").read_text(encoding="utf-8")
    found = re.findall(r"^(\S+) .*linguist-generated", text, re.M)
    return [pattern.replace("/**", "/*") for pattern in [*found, *ONCE_GENERATED]]


def rows(path):
    """The lines of a text file, none of a binary one."""
    try:
        return path.read_bytes().decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return []


def functions(name, lines):
    """(lines, file:line name) of each function of a Python file."""
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield length, f"{name}:{node.lineno} {node.name}"


def skips(name, lines):
    """`fmt: skip` and `fmt: off` in a Python file, `clang-format off` in a C++ one."""
    mark = r"#\s*fmt:\s*(skip|off)" if name.endswith(".py") else r"//\s*clang-format off"
    return sum(bool(re.search(mark, line)) for line in lines)


# ---------------------------------------------------------------------------------------- circles


def imports(tree, package, folder):
    """{module: the modules of its package that it imports when it is imported}."""
    files = {}
    for path in sorted((tree / folder).rglob("*.py")):
        parts = path.relative_to(tree / folder).with_suffix("").parts
        if "tests" not in parts:
            files[".".join((package, *parts)).removesuffix(".__init__")] = path
    return {
        name: {
            other
            for other in _imported(name, path, files)
            if not f"{name}.".startswith(f"{other}.")
        }
        for name, path in files.items()
    }


def _imported(name, path, files):
    here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in _run_at_once(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                if inner in files or base in files:
                    yield inner if inner in files else base


def _run_at_once(body):
    """The statements that run with the module: not in functions, not under TYPE_CHECKING."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        for inner in ("body", "orelse", "finalbody", "handlers"):
            yield from _run_at_once(getattr(node, inner, []))


def circles(graph):
    """Sets of modules that reach each other."""

    def reached(start):
        seen: set[str] = set()
        todo = [start]
        while todo:
            new = graph[todo.pop()] - seen
            seen |= new
            todo += new
        return seen

    reach = {name: reached(name) for name in graph}
    rings = {
        frozenset(other for other in reach[name] if name in reach[other])
        for name in graph
        if name in reach[name]
    }
    return sorted(map(sorted, rings))


def allowed(circle):
    """Is it the one that is meant: autograd and the files of ops?"""
    return all(name in ALLOWED_CIRCLE or name.startswith("needle.ops.") for name in circle)


# --------------------------------------------------------------------------------------- measuring


def mypy_errors(tree, folder):
    """As `make lint` asks: by the configuration that stands nearest above the folder."""
    homes = [home for home in (tree / folder).parents if home.is_relative_to(tree)]
    files = [home / "pyproject.toml" for home in homes]
    configured = [file.parent for file in files if file.is_file() and "[tool.mypy]" in rows(file)]
    plain = [] if configured else [*MYPY, str(folder)]
    command = [sys.executable, "-m", "mypy", *plain]
    done = subprocess.run(command, cwd=(*configured, tree)[0], capture_output=True, text=True)
    last = done.stdout.strip().splitlines()[-1]
    found = re.search(r"Found (\d+) error", last)
    return int(found[1]) if found else 0 if "Success" in last else last


def measure(tree):
    """The facts of a checkout that cost no time."""
    patterns = generated()
    texts = {name: rows(tree / name) for name in tracked(tree)}
    rendered = [name for name in texts if any(fnmatch(name, pattern) for pattern in patterns)]
    by_hand = {name: lines for name, lines in texts.items() if name not in set(rendered)}
    code = {name: lines for name, lines in by_hand.items() if name.endswith(CODE)}
    tests = [name for name in code if {"tests", "checks"} & set(PurePosixPath(name).parts)]
    lengths = [f for n, lines in code.items() if n.endswith(".py") for f in functions(n, lines)]
    return {
        "texts": texts,
        "rendered": rendered,
        "long": [n for n in code if len(code[n]) > 400 and n not in set(tests)],
        "long tests": [n for n in tests if len(code[n]) > 600],
        "functions": sorted((f for f in lengths if f[0] > 40), reverse=True),
        "skips": sum(skips(name, lines) for name, lines in code.items()),
        "circles": [
            circle
            for package, folder in PACKAGES.items()
            for circle in circles(imports(tree, package, folder))
        ],
        "code": code,
    }


def report(tree, facts, names):
    texts, rendered = facts["texts"], facts["rendered"]
    total, drawn = (sum(len(texts[n]) for n in names) for names in (texts, rendered))
    print(f"tracked            {len(texts)} files, {total:,} lines")
    print(f"  rendered         {len(rendered)} files, {drawn:,} lines")
    print(f"  by hand          {len(texts) - len(rendered)} files, {total - drawn:,} lines")
    tops = {name.split("/")[0] for name in texts}
    print(f"at the top         {len([top for top in tops if not top.startswith('.')])} names")
    for title, limit, kind in (
        ("code files", 400, "long"),
        ("test files", 600, "long tests"),
    ):
        print(f"{title:18} {len(facts[kind])} by hand over {limit} lines")
        if names:
            print("".join(f"    {len(facts['code'][n])} {n}\n" for n in facts[kind]), end="")
    print(f"functions          {len(facts['functions'])} in Python over 40 lines")
    if names:
        print("".join(f"    {length} {where}\n" for length, where in facts["functions"]), end="")
    print(f"fmt: skip          {facts['skips']}")
    print(f"circles of imports {len(facts['circles'])}")
    for circle in facts["circles"]:
        print(f"    {', '.join(circle)}{' (meant)' if allowed(circle) else ''}")
    for package, folder in list(PACKAGES.items())[1:]:
        print(f"mypy               {mypy_errors(tree, folder)} errors in {package}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", nargs="?", type=Path, default=ROOT, help="another checkout")
    parser.add_argument("--names", action="store_true", help="name the long files and functions")
    parser.add_argument("--limits", action="store_true", help="fail beyond a limit, quietly")
    chosen = parser.parse_args()
    facts = measure(chosen.tree.resolve())
    if not chosen.limits:
        return report(chosen.tree, facts, chosen.names)
    faults = [
        f"imports in a circle, which only autograd and ops may: {', '.join(circle)}"
        for circle in facts["circles"]
        if not allowed(circle)
    ]
    if facts["skips"] > MOST_SKIPS:
        faults.append(f"{facts['skips']} lines are kept from the formatter, {MOST_SKIPS} may be")
    print("\n".join(faults) or f"{facts['skips']} lines kept from the formatter, no circle")
    return bool(faults)


if __name__ == "__main__":
    raise SystemExit(main())

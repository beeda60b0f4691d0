"""Names that a test file takes from a module under test, and that are not there.

A test file that cannot be imported takes all its tests with it, whatever one name it lacks. So before
pytest imports a file, every name that it takes from a module under test while it is imported is looked
up. For one that is missing a `Missing` is put there: whoever uses it fails, and says which name it
is; the other tests run.
"""

import ast
import contextlib
import functools
import importlib
from pathlib import Path
from types import ModuleType


class Missing:
    """Stands for a name that a module lacks; every use of it is an AttributeError that says so."""

    def __init__(self, name):
        self.__name__ = self.name = name

    def __repr__(self):
        return self.name

    def __call__(self, *args, **kwargs):
        module, _, name = self.name.rpartition(".")
        raise AttributeError(
            f"{module} has no {name!r}: the tests look for that name; is it renamed or hidden?"
        )

    def __getattr__(self, name):
        if name.startswith("_"):  # what Python and pytest ask of every object
            raise AttributeError(name)
        return Missing(f"{self.name}.{name}")

    def __mro_entries__(self, bases):
        """As a base class: the class can be written, its objects cannot be made."""
        return (type("MissingBase", (), {"__new__": lambda cls, *args, **kwargs: self()}),)


def provide(path, is_under_test):
    """Put a `Missing` where the test file at `path`, or a module beside it, will look in vain.

    Args:
        path: the file; it is read, not run.
        is_under_test: tells for a top-level module's name whether it is a student's.

    Returns the full names of what was missing, such as "needle.nn.Linear".
    """
    taken = _Taken(is_under_test)
    taken.read(Path(path))
    missing = []
    for module_name, chain in taken.names:
        try:
            found = importlib.import_module(module_name)
        except (Exception, SystemExit):
            continue  # importing the test file says it better
        for name in chain:
            if not isinstance(found, ModuleType) or not is_under_test(found.__name__.split(".")[0]):
                break
            if not has(found, name):
                setattr(found, name, Missing(f"{found.__name__}.{name}"))
                missing.append(f"{found.__name__}.{name}")
            found = getattr(found, name)
    return missing


@functools.cache
def parsed(text):
    """Where the program may take names while it is imported: its imports and chains of attributes, in
    their order. Who goes on to fork may ask for it before."""
    return tuple(_running(ast.parse(text)))


def _running(node):
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
        return
    if isinstance(node, ast.Attribute):
        root = node.value
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name):
            yield node
            return
        parts = [root]
    elif isinstance(node, ast.FunctionDef):  # its body runs later; its decorators and defaults now
        arguments = node.args
        parts = [*node.decorator_list, *arguments.defaults, *filter(None, arguments.kw_defaults)]
    elif isinstance(node, ast.Lambda):  # runs later
        return
    else:
        parts = ast.iter_child_nodes(node)
    for part in parts:
        yield from _running(part)


def has(module, name):
    """Has the module this name, be it a submodule that nobody has imported yet?"""
    if hasattr(module, name):
        return True
    try:
        importlib.import_module(f"{module.__name__}.{name}")
    except ImportError:
        return False
    return hasattr(module, name)


class _Taken:
    """Collects (module, [name, name of it, ...]) of what runs while a file is imported."""

    def __init__(self, is_under_test):
        self.is_under_test = is_under_test
        self.names, self.seen = [], set()
        self.folder, self.aliases = None, {}

    def read(self, path):
        if path in self.seen or not path.is_file():
            return
        self.seen.add(path)
        outer = self.folder, self.aliases
        self.folder, self.aliases = path.parent, {}
        visits = {
            ast.Import: self.imports,
            ast.ImportFrom: self.imports_from,
            ast.Attribute: self.takes,
        }
        with contextlib.suppress(SyntaxError):  # importing the file says it better
            for node in parsed(path.read_text(encoding="utf-8")):
                visits[type(node)](node)
        self.folder, self.aliases = outer

    def imports(self, node):
        for alias in node.names:
            if self.is_under_test(alias.name.split(".")[0]):
                module = alias.name if alias.asname else alias.name.split(".")[0]
                self.aliases[alias.asname or module] = (module, [])
            else:  # perhaps a module beside the tests, which takes names itself
                self.read(self.folder / f"{alias.name}.py")

    def imports_from(self, node):
        if node.level or not self.is_under_test(node.module.split(".")[0]):
            if not node.level:
                self.read(self.folder / f"{node.module}.py")
            return
        for alias in node.names:
            if alias.name != "*":
                self.aliases[alias.asname or alias.name] = (node.module, [alias.name])
                self.names.append((node.module, [alias.name]))

    def takes(self, node):
        chain, root = [node.attr], node.value
        while isinstance(root, ast.Attribute):
            chain.insert(0, root.attr)
            root = root.value
        if root.id in self.aliases:
            module, begin = self.aliases[root.id]
            self.names.append((module, [*begin, *chain]))

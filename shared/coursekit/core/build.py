"""Compiling a homework's C++ and CUDA, without make and without knowing CMake."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Homework

_SUFFIXES = (".so", ".pyd", ".dylib")
_NOT_INPUT = {"python", "apps", "tests", "data", "figures", "build", ".hw", "__pycache__"}


Echo = Callable[[str], None] | None
"""Called with each line that a build prints as it comes; None keeps it quiet."""


CPU, DEVICES, ALL = "cpu", "devices", "all"
"""What to compile: what the CPU needs; what every device needs; the checked CUDA device as well."""


class BuildError(CourseError):
    """The compiler refused the sources; `log` holds everything it said."""

    def __init__(self, message: str, log: str):
        super().__init__(message)
        self.log = log


def compiler() -> str:
    """The C++ compiler's command: $CXX, else the first of c++, g++, clang++ on the path."""
    wanted = os.environ.get("CXX")
    if wanted:
        if shutil.which(wanted.split()[0]):
            return wanted
        raise CourseError(f"CXX={wanted!r} names no program; unset CXX or give a C++ compiler")
    for name in ("c++", "g++", "clang++"):
        if shutil.which(name):
            return name
    raise CourseError(f"no C++ compiler found (looked for c++, g++, clang++); {compiler_hint()}")


def compiler_hint() -> str:
    """The command that installs a compiler on this system."""
    if sys.platform == "darwin":
        return "install one with: xcode-select --install"
    if sys.platform == "win32":
        return "work inside WSL (wsl --install), which has g++ by: sudo apt install g++"
    for program, command in (
        ("apt-get", "sudo apt-get install g++"),
        ("dnf", "sudo dnf install gcc-c++"),
        ("pacman", "sudo pacman -S gcc"),
        ("apk", "sudo apk add g++"),
    ):
        if shutil.which(program):
            return f"install one with: {command}"
    return "install g++ or clang++ with your system's package manager"


def build(
    tree: Path, homework: Homework, echo: Echo = None, parts: str = ALL, nvcc: bool = False
) -> list[Path]:
    """Compile what `homework.build` says, in place. Returns the modules that were made anew.

    Args:
        tree: the homework's folder.
        echo: see `Echo`.
        parts: CPU, DEVICES or ALL.
        nvcc: compile CUDA for a GPU although this machine has none.

    Raises:
        CourseError: no compiler.
        BuildError: the sources do not compile.
    """
    if homework.build is None:
        return []
    compiler()
    before = {path: path.stat().st_mtime_ns for path in outputs(tree)}
    if homework.build == "make":
        _build_extension(tree, echo)
    else:
        _build_cmake(tree, echo, parts, nvcc)
    made = [path for path in outputs(tree) if before.get(path) != path.stat().st_mtime_ns]
    for path in outputs(tree):
        if parts == ALL or _part(path.name) in (CPU, parts):
            os.utime(path)  # up to date: what was edited did not concern it, or is in it
    return made


def _part(name: str) -> str:
    """Which part of a build a module, or a source, belongs to alone; CPU if nothing says another."""
    return ALL if "_checked" in name else DEVICES if "cuda" in name or name.endswith(".cu") else CPU


def warnings(tree: Path, rows: list[str]) -> list[str]:
    """The compiler's warnings about the homework's own sources, each once, as FILE:LINE: ..."""
    own = re.compile(rf"(?:{re.escape(str(tree))}/|\.\./)?(src/\S+:\d+(?::\d+)?: warning: .*)")
    return list(dict.fromkeys(match[1] for row in rows if (match := own.match(row.strip()))))


def outputs(tree: Path) -> list[Path]:
    """Compiled modules lying in the tree, the build folder left aside."""
    return sorted(
        path
        for path in tree.rglob("*")
        if path.suffix in _SUFFIXES
        and path.is_file()
        and not _in_build(path.relative_to(tree))
        and path.relative_to(tree).parts[0] != "data"
    )


def _in_build(path: Path) -> bool:
    return path.parts[0] == "build" or path.parts[0].startswith("build-")


def is_stale(tree: Path, homework: Homework, parts: str = DEVICES) -> bool:
    """True when something of these parts must be compiled: nothing built yet, or a source is younger."""
    if homework.build is None:
        return False
    built = outputs(tree)
    inputs = [*build_inputs(tree, homework), *given_inputs(tree, homework)]
    if _is_younger([path for path in built if _part(path.name) == CPU], inputs, (DEVICES, ALL)):
        return True
    if parts == CPU or not _emulates(tree):
        return False
    return _is_younger([path for path in built if _part(path.name) == DEVICES], inputs, ())


def _is_younger(built: list[Path], inputs: list[Path], others: tuple[str, ...]) -> bool:
    """Is an input, those of other parts aside, younger than a module, or is there no module?"""
    if not built:
        return True
    oldest = min(path.stat().st_mtime for path in built)
    return any(
        path.stat().st_mtime > oldest
        for path in inputs
        if _part(path.name) not in others and not (others and "cuda_emulator" in path.parts)
    )


def _emulates(tree: Path) -> bool:
    """Does a build of this tree make a cuda() device here?"""
    wanted = "-DNEEDLE_CUDA_BUILDS=" not in os.environ.get("NEEDLE_CMAKE_ARGS", "").split()
    return sys.platform != "win32" and wanted and any((tree / "src").glob("*.cu"))


def shared_folder(tree: Path) -> Path:
    """The course's shared/, with what is given, as the tree's CMakeLists.txt finds it."""
    named = os.environ.get("NEEDLE_SHARED")
    for place in (*([Path(named)] if named else []), tree.parent / "shared"):
        if (place / "kernels" / "kernels.cmake").is_file():
            return place
    return Path(__file__).resolve().parents[2]


def given_inputs(tree: Path, homework: Homework) -> list[Path]:
    """The files of shared/ that a build reads."""
    if homework.build != "cmake":
        return []
    shared = shared_folder(tree)
    wanted = {".cc", ".h", ".cmake", ".py"}
    return [
        path
        for package in ("kernels", "cuda_emulator")
        for path in sorted((shared / package).rglob("*"))
        if path.suffix in wanted and "tests" not in path.relative_to(shared).parts
    ]


def build_inputs(tree: Path, homework: Homework) -> list[Path]:
    """The homework's files that a build reads: no texts, tests, data; Python if CMake may run it."""
    left_out = (*_SUFFIXES, ".pyc", ".o", *([".py"] if homework.build == "make" else []))
    found = []
    for top in sorted(tree.iterdir()):
        if top.name in _NOT_INPUT or top.name.startswith(".") or _in_build(Path(top.name)):
            continue
        if top.is_dir():
            found += [
                path
                for path in sorted(top.rglob("*"))
                if path.is_file() and path.suffix not in left_out
            ]
        elif (
            top.name == "Makefile"
            or top.suffix in (".cmake", ".toml")
            or top.name == "CMakeLists.txt"
        ):
            found.append(top)
    return found


def _build_extension(tree: Path, echo: Echo) -> None:
    """hw0: src/*_ext.cpp to src/*_ext.so by one call of the compiler, as its Makefile does."""
    sources = sorted((tree / "src").glob("*_ext.cpp"))
    if not sources:
        raise CourseError(
            f"{tree.name}/src holds no *_ext.cpp to compile; `hw reset` brings it back"
        )
    flags = (
        os.environ.get("CXXFLAGS") or _make_variable(tree / "Makefile", "CXXFLAGS") or "-O3 -Wall"
    )
    fast = _make_variable(tree / "Makefile", "FAST")
    if fast and "CXXFLAGS" not in os.environ and _accepts(fast):
        flags += f" {fast}"
    flags += " -shared -std=c++11 -fPIC"
    if sys.platform == "darwin":
        flags += " -undefined dynamic_lookup"  # Python's own symbols are found when it loads
    for source in sources:
        target = source.with_suffix(".so")
        partial = source.with_suffix(".so.part")
        command = [
            *compiler().split(),
            *flags.split(),
            *_includes(),
            source.relative_to(tree).as_posix(),
            "-o",
            partial.relative_to(tree).as_posix(),
        ]
        try:
            _run(command, tree, echo)
            os.replace(partial, target)  # a running Python keeps the module it has loaded
        finally:
            partial.unlink(missing_ok=True)


def _accepts(flags: str) -> bool:
    """Does the compiler know these flags on this machine?"""
    command = [*compiler().split(), *flags.split(), "-E", "-x", "c++", os.devnull]
    return subprocess.run(command, capture_output=True).returncode == 0


def _includes() -> list[str]:
    try:
        import pybind11
    except ImportError:
        raise CourseError(
            f"pybind11 is missing; install it with: {sys.executable} -m pip install pybind11"
        ) from None
    return [f"-I{sysconfig.get_path('include')}", f"-I{pybind11.get_include()}"]


def _make_variable(makefile: Path, name: str) -> str | None:
    """A plain variable of a Makefile, so that its flags stand in one place only."""
    if not makefile.is_file():
        return None
    text = makefile.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.search(rf"^{name}\s*[:?+]?=\s*(.*)$", text, re.M)
    return found[1].strip() if found and "$" not in found[1] else None


def tool(name: str) -> str:
    """A program of this Python's environment (cmake, ninja), else of the system."""
    local = Path(sys.executable).parent / (name + (".exe" if os.name == "nt" else ""))
    found = str(local) if local.exists() else shutil.which(name)
    if not found:
        raise CourseError(
            f"{name} is missing; install it with: {sys.executable} -m pip install {name}"
        )
    return found


def _build_cmake(tree: Path, echo: Echo, parts: str, nvcc: bool) -> None:
    if fault := path_fault(tree):
        raise CourseError(fault)
    if not (tree / "CMakeLists.txt").is_file():
        raise CourseError(f"{tree.name} has no CMakeLists.txt; `hw reset` brings it back")
    cmake, ninja = tool("cmake"), tool("ninja")
    folder = tree / "build"
    cache = folder / "CMakeCache.txt"
    if cache.is_file():
        home = re.search(
            r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", cache.read_text(errors="replace"), re.M
        )
        if home is None or Path(home[1]).resolve() != tree.resolve():
            shutil.rmtree(folder)  # a copied or moved tree: CMake would build the old place
    configure = [
        *(cmake, "-S", ".", "-B", "build", "-G", "Ninja"),
        f"-DCMAKE_MAKE_PROGRAM={ninja}",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-DPython3_EXECUTABLE={sys.executable}",
        *_compiler_cache(),
        *(["-DNEEDLE_CUDA_BUILDS=hardware,emulated,checked"] if nvcc else []),
        *os.environ.get("NEEDLE_CMAKE_ARGS", "").split(),
    ]
    if nvcc or not (folder / "build.ninja").is_file():
        _run(configure, tree, echo)
    command = [cmake, "--build", "build", *_parallel()]
    if names := _targets(folder / "build.ninja", parts):
        command += ["--target", *names]
    _run(command, tree, echo)


def _compiler_cache() -> list[str]:
    """Where ccache is, what one homework has compiled the next need not compile again."""
    if "CMAKE_CXX_COMPILER_LAUNCHER" in os.environ or not shutil.which("ccache"):
        return []
    return ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]


def _targets(ninja: Path, parts: str) -> list[str]:
    """The modules to ask for, of those that a build knows; none: everything."""
    known = re.findall(r"^build (ndarray_backend_\w+): phony", ninja.read_text(), re.M)
    wanted = [name for name in known if _part(name) in (CPU, parts)]
    return [] if parts == ALL else wanted


def checked_cuda(tree: Path) -> bool:
    """Whether the checked build of cuda() is there; it is made, or made anew, when it is asked for."""
    if not (tree / "build" / "build.ninja").is_file():
        return False
    command = [tool("cmake"), "--build", "build", "--target", "ndarray_backend_cuda_checked"]
    try:
        _run(command, tree, None)
    except BuildError:
        return False
    return True


def path_fault(place: Path) -> str:
    """Why CMake cannot build in a folder of this name; "" when it can."""
    if ";" not in str(place.resolve()):
        return ""
    return f"CMake ends a name at ';': move the course out of {place.resolve()}, then hw build"


def _parallel() -> list[str]:
    jobs = os.environ.get("NEEDLE_BUILD_JOBS")
    return ["-j", jobs] if jobs else []


def _run(command: list[str], tree: Path, echo: Echo) -> None:
    """Run a build step, pass its lines on, and turn a failure into a readable error."""
    rows: list[str] = []
    shared = {"CCACHE_BASEDIR": str(tree.resolve().parent), "CCACHE_NOHASHDIR": "1"}
    env = {**shared, **os.environ, "LC_ALL": "C"}
    with subprocess.Popen(
        command,
        cwd=tree,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for row in process.stdout or ():
            rows.append(row.rstrip())
            if echo is not None:
                echo(rows[-1])
    if process.returncode:
        log = "\n".join([" ".join(command), *rows])
        raise BuildError(
            f"{tree.name} does not compile:\n"
            f"{summary([_from_root(row, tree) for row in rows], tree.parent)}",
            log,
        )


def _from_root(row: str, tree: Path) -> str:
    """The row with the homework's files named from the course's root, as an editor finds them."""
    row = row.replace(f"{tree.resolve()}{os.sep}", f"{tree.name}/")
    return re.sub(r"^(\s*)(?:\.\./)?(src/[^\s:]+:\d+:)", rf"\1{tree.name}/\2", row)


_PLACE = re.compile(r"([^\s:()]+)[:(](\d+)")


def summary(rows: list[str], root: Path | None = None) -> str:
    """The compiler's errors, each with its place, without the templates it walked through.

    Args:
        root: where the places begin; then each error shows the line that it is about.
    """
    errors = [row.strip() for row in rows if re.search(r"\berror\b[ :]", row, re.I)]
    chosen = list(dict.fromkeys(errors))[:5] or [row for row in rows if row.strip()][-8:]
    left = len(errors) - len(chosen)
    more = [f"  ... and {left} more; mend the first one first"] if left > 0 else []
    told = [f"  {_without_column(row)}{_line_of(row, root)}" for row in chosen]
    return "\n".join(told + more)


def _without_column(row: str) -> str:
    """Of CUDA the column is one of the rewritten text, which nobody sees."""
    return re.sub(r"(\.cu:\d+):\d+", r"\1", row)


def _line_of(row: str, root: Path | None) -> str:
    """The line of the file that an error is about, to stand under it; "" where there is none."""
    place = _PLACE.match(row)
    if root is None or place is None or not (root / place[1]).is_file():
        return ""
    lines = (root / place[1]).read_text(encoding="utf-8", errors="replace").splitlines()
    number = int(place[2])
    return f"\n      {number} | {lines[number - 1].strip()}" if 0 < number <= len(lines) else ""


# ---------------------------------------------------------------------- the staff's build cache


def cache_folder() -> Path:
    """Where built modules are kept on this machine: $NEEDLE_CACHE or the user's cache folder."""
    base = os.environ.get("NEEDLE_CACHE")
    if base:
        return Path(base)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "needle-course"


def build_key(tree: Path, homework: Homework, nvcc: bool = False) -> str:
    """A hash of all that decides what a build yields."""
    digest = hashlib.sha256()
    facts = [
        (homework.build or "") + ", nvcc" * nvcc,
        platform.platform(),
        sys.version,
        compiler(),
        os.environ.get("NEEDLE_CMAKE_ARGS", ""),
        os.environ.get("CXXFLAGS", ""),
    ]
    for fact in facts:
        digest.update(fact.encode() + b"\0")
    places = [(tree, build_inputs), (shared_folder(tree), given_inputs)]
    for folder, inputs in places:
        for path in inputs(tree, homework):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()[:32]


def build_tree(tree: Path, homework: Homework, echo: Echo = None, nvcc: bool = False) -> bool:
    """Like `build`, but takes the modules from this machine's cache when the same sources were
    built before. Returns True when the cache had them. For staff: proofs, solved trees, CI.
    """
    if homework.build is None:
        return True
    key = build_key(tree, homework, nvcc)
    store = cache_folder() / "builds" / key
    with _locked(cache_folder() / "locks" / key):
        if store.is_dir():
            for path in outputs(tree):
                path.unlink()
            for source in store.rglob("*"):
                if source.is_file():
                    target = tree / source.relative_to(store)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)
            os.utime(store)
            return True
        for path in outputs(tree):
            path.unlink()
        build(tree, homework, echo, nvcc=nvcc)
        partial = store.with_name(f"{key}.part{os.getpid()}")
        for path in outputs(tree):
            target = partial / path.relative_to(tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        if partial.is_dir():
            os.replace(partial, store)
    return False


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One builder a key at a time; without fcntl (Windows) two may do the same work."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as handle:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield

"""Compiling a homework's C++ and CUDA, without make and without knowing CMake."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from coursekit.core.buildfiles import build_inputs, given_inputs, outputs
from coursekit.core.compiling import BuildError, Echo, run
from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Homework
from coursekit.core.toolchain import accepts, compiler, includes, path_fault, tool

CPU, DEVICES, ALL = "cpu", "devices", "all"
"""What to compile: what the CPU needs; what every device needs; the checked CUDA device as well."""


def build(
    tree: Path,
    homework: Homework,
    echo: Echo = None,
    parts: str = ALL,
    nvcc: bool = False,
    settings: Mapping[str, str] | None = None,
) -> list[Path]:
    """Compile what `homework.build` says, in place. Returns the modules that were made anew.

    Args:
        tree: the homework's folder.
        echo: see `Echo`.
        parts: CPU, DEVICES or ALL.
        nvcc: compile CUDA for a GPU although this machine has none.
        settings: variables in the place of the environment's, such as CXXFLAGS, NEEDLE_CMAKE_ARGS.

    Raises:
        CourseError: no compiler.
        BuildError: the sources do not compile.
    """
    if homework.build is None:
        return []
    compiler()
    before = {path: path.stat().st_mtime_ns for path in outputs(tree)}
    env = {**os.environ, **(settings or {})}
    if homework.build == "make":
        _build_extension(tree, echo, env)
    else:
        _build_cmake(tree, echo, parts, nvcc, env)
    made = [path for path in outputs(tree) if before.get(path) != path.stat().st_mtime_ns]
    for path in outputs(tree):
        if parts == ALL or _part(path.name) in (CPU, parts):
            os.utime(path)  # up to date: what was edited did not concern it, or is in it
    return made


def _part(name: str) -> str:
    """Which part of a build a module, or a source, belongs to alone; CPU if nothing says another."""
    return ALL if "_checked" in name else DEVICES if "cuda" in name or name.endswith(".cu") else CPU


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


def _build_extension(tree: Path, echo: Echo, env: Mapping[str, str]) -> None:
    """hw0: src/*_ext.cpp to src/*_ext.so, as its Makefile does; in two steps, of which ccache, where it
    is, keeps the first."""
    sources = sorted((tree / "src").glob("*_ext.cpp"))
    if not sources:
        raise CourseError(
            f"{tree.name}/src holds no *_ext.cpp to compile; `hw reset` brings it back"
        )
    flags = env.get("CXXFLAGS") or _make_variable(tree / "Makefile", "CXXFLAGS") or "-O3 -Wall"
    fast = _make_variable(tree / "Makefile", "FAST")
    if fast and "CXXFLAGS" not in env and accepts(fast):
        flags += f" {fast}"
    call = [*compiler().split(), *flags.split(), "-std=c++11", "-fPIC"]
    link = [*call, "-shared"]
    if sys.platform == "darwin":
        link += ["-undefined", "dynamic_lookup"]  # Python's own symbols are found when it loads
    launcher = env.get("CMAKE_CXX_COMPILER_LAUNCHER") or shutil.which("ccache") or ""
    for source in sources:
        parts = source.with_suffix(".o"), source.with_suffix(".so.part")
        code, compiled, linked = (p.relative_to(tree).as_posix() for p in (source, *parts))
        compiles = [*launcher.split(), *call, *includes(), "-c", code, "-o", compiled]
        try:
            run(compiles, tree, echo, env)
            run([*link, compiled, "-o", linked], tree, echo, env)
            # A running Python keeps the module it has loaded.
            os.replace(parts[1], source.with_suffix(".so"))
        finally:
            for path in parts:
                path.unlink(missing_ok=True)


def _make_variable(makefile: Path, name: str) -> str | None:
    """A plain variable of a Makefile, so that its flags stand in one place only."""
    if not makefile.is_file():
        return None
    text = makefile.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.search(rf"^{name}\s*[:?+]?=\s*(.*)$", text, re.M)
    return found[1].strip() if found and "$" not in found[1] else None


def _build_cmake(tree: Path, echo: Echo, parts: str, nvcc: bool, env: Mapping[str, str]) -> None:
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
        *_compiler_cache(env),
        *(["-DNEEDLE_CUDA_BUILDS=hardware,emulated,checked"] if nvcc else []),
        *env.get("NEEDLE_CMAKE_ARGS", "").split(),
    ]
    if nvcc or not (folder / "build.ninja").is_file():
        run(configure, tree, echo, env)
    jobs = env.get("NEEDLE_BUILD_JOBS")
    command = [cmake, "--build", "build", *(["-j", jobs] if jobs else [])]
    if names := _targets(folder / "build.ninja", parts):
        command += ["--target", *names]
    run(command, tree, echo, env)


def _compiler_cache(env: Mapping[str, str]) -> list[str]:
    """Where ccache is, what one homework has compiled the next need not compile again."""
    if "CMAKE_CXX_COMPILER_LAUNCHER" in env or not shutil.which("ccache"):
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
        run(command, tree, None, os.environ)
    except BuildError:
        return False
    return True

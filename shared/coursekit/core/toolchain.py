"""The compiler and the tools that a build needs: where they are, and how to get them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from coursekit.core.errors import CourseError


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


def tool(name: str) -> str:
    """A program of this Python's environment (cmake, ninja), else of the system."""
    local = Path(sys.executable).parent / (name + (".exe" if os.name == "nt" else ""))
    found = str(local) if local.exists() else shutil.which(name)
    if not found:
        raise CourseError(
            f"{name} is missing; install it with: {sys.executable} -m pip install {name}"
        )
    return found


def includes() -> list[str]:
    """The options that name the headers of Python and pybind11."""
    try:
        import pybind11
    except ImportError:
        raise CourseError(
            f"pybind11 is missing; install it with: {sys.executable} -m pip install pybind11"
        ) from None
    return [f"-I{sysconfig.get_path('include')}", f"-I{pybind11.get_include()}"]


def accepts(flags: str) -> bool:
    """Does the compiler know these flags on this machine?"""
    command = [*compiler().split(), *flags.split(), "-E", "-x", "c++", os.devnull]
    return subprocess.run(command, capture_output=True).returncode == 0


def path_fault(place: Path) -> str:
    """Why CMake cannot build in a folder of this name; "" when it can."""
    if ";" not in str(place.resolve()):
        return ""
    return f"CMake ends a name at ';': move the course out of {place.resolve()}, then hw build"

"""Compile a .cu file of cases for the emulated device; no Python module, no CMake."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
EMULATION = HERE.parent / "src"
CHECKS = "-fsanitize=bounds,alignment,null,integer-divide-by-zero"
COVERAGE = "-fsanitize-coverage=trace-pc"
KERNEL_FLAGS = {  # as in cuda_emulator.cmake
    "emulated": ["-O2", "-g1", CHECKS, COVERAGE],
    "checked": ["-O1", "-g1", COVERAGE, "-fsanitize=thread", CHECKS, "-DNEEDLE_CUDA_CHECKED"],
}
EMULATOR_FLAGS = {"emulated": [], "checked": ["-DNEEDLE_CUDA_CHECKED"]}


def compiler():
    found = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    assert found, "the emulated device needs a C++ compiler"
    return found.split()


def rewrite(source, target):
    """Run rewrite.py as the build does; returns the finished process."""
    command = [sys.executable, EMULATION / "rewrite.py", source, target]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def build(source, kind, once):
    """Compile `source` for "emulated" or "checked", one worker for all; returns the program's path."""
    emulator = once(f"emulator-{kind}", lambda folder: compile_emulator(kind, folder))
    name = f"{Path(source).stem}-{kind}"

    def make(folder):
        folder.mkdir(exist_ok=True)
        code = folder / f"{name}.cc"
        done = rewrite(source, code)
        assert done.returncode == 0, done.stderr
        objects = [*emulator.iterdir(), compiled(code, KERNEL_FLAGS[kind], folder)]
        command = [*compiler(), *objects, "-pthread", "-ldl", "-o", folder / name]
        subprocess.run([str(word) for word in command], check=True)

    return once(name, make) / name


def compile_emulator(kind, folder):
    folder.mkdir(exist_ok=True)
    for unit in EMULATION.glob("*.cc"):
        if kind == "checked" or unit.stem not in ("checker", "counter"):
            compiled(unit, ["-O1", *EMULATOR_FLAGS[kind]], folder)


def compiled(unit, flags, folder):
    """The object file that a C++ file comes to."""
    target = folder / f"{unit.stem}.o"
    common = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fPIC", f"-I{EMULATION}", f"-I{HERE}"]
    command = [*compiler(), *common, *flags, "-c", str(unit), "-o", str(target)]
    subprocess.run(command, check=True)
    return target


def run(program, case, order="forward", timeout=60):
    """The line a case prints; "crash: ..." when the process dies, "hangs" when it never ends."""
    env = {**os.environ, "NEEDLE_CUDA_ORDER": order, "NEEDLE_CUDA_SECONDS": "1"}
    try:
        done = subprocess.run(
            [str(program), case], env=env, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return "hangs"
    return done.stdout.strip() if done.returncode == 0 else f"crash: status {done.returncode}"


def cases(source):
    """Names of the cases in a file, in order."""
    text = Path(source).read_text(encoding="utf-8")
    return [row[5 : row.index(")")] for row in text.splitlines() if row.startswith("CASE(")]

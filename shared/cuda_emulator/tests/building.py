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


def build(source, kind, folder):
    """Compile `source` for "emulated" or "checked"; returns the program's path."""
    rewritten = folder / f"{Path(source).stem}_{kind}.cc"
    done = rewrite(source, rewritten)
    assert done.returncode == 0, done.stderr
    common = [
        *compiler(),
        "-std=c++17",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fPIC",
        f"-I{EMULATION}",
        f"-I{HERE}",
    ]
    objects = []
    for unit in [rewritten, *sorted(EMULATION.glob("*.cc"))]:
        if unit.stem in ("checker", "counter") and kind != "checked":
            continue
        flags = KERNEL_FLAGS[kind] if unit == rewritten else ["-O1", *EMULATOR_FLAGS[kind]]
        objects.append(folder / f"{unit.stem}_{kind}.o")
        if unit != rewritten and objects[-1].exists():
            continue  # the emulator is the same for every corpus
        subprocess.run([*common, *flags, "-c", str(unit), "-o", str(objects[-1])], check=True)
    program = folder / f"{Path(source).stem}_{kind}"
    link = [*compiler(), *map(str, objects), "-pthread", "-ldl", "-o", str(program)]
    subprocess.run(link, check=True)
    return program


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

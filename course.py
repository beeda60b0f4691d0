#!/usr/bin/env python3
"""Set the course up and run it: `python course.py setup|test|demo`. Needs Python, nothing else.

setup   make .venv, or reuse it, with everything the course needs; with --locked, as CI does,
        in exactly the versions of .ci/requirements.lock
test    run every test: the tool's, the autograder's, the reference's, each solved homework's;
        with --homeworks only the last; with --coverage the floors of two suites hold too
demo    render the solved course, do a homework as a student would, train, show a table
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "needle-course.stamp"
MINIMUM = (3, 10)
MUGRADE = ROOT / "shared" / "mugrade"
LOCK = ROOT / ".ci" / "requirements.lock"
SUITES = (
    "shared/course_testing/tests",
    "shared/cluster/tests",
    "shared/kernels/tests",
    "shared/cuda_emulator/tests",
    "shared/coursekit/tests",
    "shared/mugrade/tests",
    "shared/checks",
    *(f"shared/checks/in_hw{number}" for number in (0, 2, 3, 4)),  # inside a solved homework
    "project/template",
    "project/examples",
)
BESIDE = ("shared/mugrade/tests", "shared/coursekit/tests")
"""Suites that wait for servers, browsers and processes: they run, one after the other, beside all the
others, which take about as long."""
COVERED = {
    "shared/coursekit/tests": (
        "pyproject.toml",
        "test_build.py test_carry.py test_extras.py test_faults.py test_new.py test_render.py "
        "test_run.py test_syllabus.py test_terminal.py test_watch.py",
    ),
    "shared/mugrade/tests": (
        "shared/mugrade/pyproject.toml",
        "client/test_hooks.py client/test_receipts.py client/test_submit.py server/test_api.py "
        "server/test_attempts.py server/test_compare.py server/test_encoding.py "
        "server/test_keys.py server/test_policies.py server/test_sealed.py",
    ),
}
"""Suites that must reach a share of the lines of a core: the file that says which, and the tests that
stand for it. To count lines nearly doubles a test's time, so the others run without."""
# The staff's own suites run on several cores, test by test; a test that hangs fails by its name.
PARALLEL = ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "worksteal"]
TIMEOUT = "--timeout=600"
# Only the plugins that these sessions use: to load all that are installed takes seconds a process.
PLUGINS = ["-p", "pytest_timeout", "-p", "xdist.plugin", "-p", "pytest_cov.plugin"]
BARE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
# On our own solution a warning is a fault; a student's are shown. shared/pytest.ini says it of the rest.
STRICT = ["-W", "error"]


def fail(sentence):
    print(f"course.py: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def is_staff():
    """Is this the whole course, with the solved library, and not a students' release?"""
    return (ROOT / "shared" / "reference").is_dir()


# ------------------------------------------------------------------------------------------ setup


def check_machine():
    """Python's age, the venv module and a C++ compiler, each in one sentence."""
    if sys.version_info < MINIMUM:
        have = ".".join(map(str, sys.version_info[:3]))
        need = ".".join(map(str, MINIMUM))
        fail(
            f"this is Python {have}, the course needs {need} or newer; install one from "
            "https://python.org and run: python3 course.py setup"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        fail(
            "this Python has no venv module; install it, on Debian and Ubuntu with: "
            f"sudo apt-get install python{version}-venv"
        )


def check_compiler():
    names = [os.environ["CXX"].split()[0]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    if not any(shutil.which(name) for name in names):
        how = {
            "darwin": "xcode-select --install",
            "win32": "wsl --install, and inside it: sudo apt-get install g++",
        }.get(sys.platform, "sudo apt-get install g++ (or your system's package of it)")
        fail(f"no C++ compiler found (looked for {', '.join(names)}); install one with: {how}")


def digest(*paths):
    """Changes whenever this Python or the content of one of these files does."""
    found = hashlib.sha256(f"{sys.version} {PYTHON}".encode())
    for path in paths:
        found.update(path.read_bytes() if path.is_file() else b"-")
    return found.hexdigest()


def setup(arguments=(), everything=True):
    """Make .venv and install the course into it; a second run takes no time.

    Without `everything` staff get what the demo needs, in a third of the time.
    """
    locked = "--locked" in arguments
    if unknown := set(arguments) - {"--locked"}:
        fail(f"setup knows --locked only, not {' '.join(sorted(unknown))}")
    if locked and not LOCK.is_file():
        fail(f"there is no {LOCK.relative_to(ROOT).as_posix()} here; leave --locked out")
    check_machine()
    # Whatever the lock allows, the ranges allow: a later setup without --locked is content with it.
    wanted = [digest(ROOT / "pyproject.toml", MUGRADE / "pyproject.toml")]
    wanted += [digest(LOCK)] if locked else []
    enough = [] if everything else [f"demo-{wanted[0]}"]
    have = STAMP.read_text().split() if PYTHON.is_file() and STAMP.is_file() else []
    if have[: len(wanted)] == wanted or (enough and have == enough):
        return
    if not PYTHON.is_file() or not runs([PYTHON, "-m", "pip", "--version"]):
        print(f"making {VENV.name} ...", flush=True)
        if subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)]).returncode:
            fail(f"could not make {VENV}; see the lines above (disk space? rights?)")
    print(
        "installing the course's packages into .venv (a few minutes the first time) ...", flush=True
    )
    if not is_staff():
        extras, tools = "[viz,notebooks]", ""
    else:
        extras, tools = ("[staff]", "[test]") if everything else ("", "[server]")
    editable = ["-e", f".{extras}"]
    if (MUGRADE / "pyproject.toml").is_file():
        editable += ["-e", f"./shared/mugrade{tools}"]
    if locked:
        # uv and then the rest by hash; then our own two, which have none, and nothing besides.
        install("--require-hashes", "-r", locked_uv())
        install("--require-hashes", "-r", LOCK)
        install("--no-deps", "--no-build-isolation", *editable)
    else:
        runs([PYTHON, "-m", "pip", "install", "uv"])
        install(*editable)
    if everything and not locked:
        # On all processors. Some packages hold templates that are no Python: no fault. The demo and
        # CI import a third of it once, and do without.
        runs([PYTHON, "-m", "compileall", "-qq", "-j", "0", VENV])
    STAMP.write_text("\n".join(enough or wanted))
    print("done", flush=True)


def install(*arguments):
    """Into .venv by uv, in seconds; by pip where there is no uv, or where it, which reads none of
    pip's settings, reaches no registry."""
    if runs([PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON, *arguments]):
        return
    words = ["install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command = [PYTHON, "-m", "pip", *words, *arguments]
    if subprocess.run([str(part) for part in command], cwd=ROOT).returncode:
        fail("installing failed; see the lines above, then run again: python3 course.py setup")


def locked_uv():
    """A file with the lock's lines for uv."""
    alone = VENV / "uv.txt"
    alone.write_text("".join(re.findall(r"^uv==.*\n(?: .*\n)*", LOCK.read_text(), re.M)))
    return alone


def runs(command):
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True)
    return done.returncode == 0


# ------------------------------------------------------------------------------------------- test


def environment(**more):
    """Programs find .venv's tools first, and nothing of the caller's Python; what one of them compiles
    the next need not."""
    left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    env = {key: value for key, value in os.environ.items() if key not in left_out}
    env["PATH"] = os.pathsep.join([str(PYTHON.parent), env.get("PATH", "")])
    env["VIRTUAL_ENV"] = str(VENV)
    return {**env, **more}


def test(arguments):
    """Every test there is; the last line has the totals."""
    check_compiler()
    setup()
    if Path(sys.prefix).resolve() != VENV.resolve():  # the syllabus is read by .venv's packages
        again = [str(PYTHON), str(ROOT / "course.py"), "test", *arguments]
        return subprocess.run(again, cwd=ROOT, env=environment()).returncode
    ours = {word for word in arguments if word in ("--homeworks", "--coverage")}
    arguments = [word for word in arguments if word not in ours]
    if not is_staff():
        return subprocess.run([str(PYTHON), "-m", "coursekit", "test", *arguments]).returncode
    from coursekit.core import syllabus

    results = ROOT / "build" / "results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    solved = ROOT / "build" / "solved"
    built = {"NEEDLE_SOLVED": str(solved), "NEEDLE_HOME": str(solved / "hw4")}

    def suite(name, output=None):
        totals: Counter[str] = Counter()
        others = []
        if "--coverage" in ours and name in COVERED:
            floor, words = COVERED[name]
            files = [f"{name}/{word}" for word in words.split()]
            options = [*PARALLEL, "--cov", f"--cov-config={floor}"]
            totals += run(f"{name}, counting lines", [*files, *options], output)
            others = [f"--ignore={file}" for file in files]
        return totals + run(name, [name, *PARALLEL, *others], output)

    def run(label, words, output):
        return session(label, ROOT, words, arguments, built, results, output)

    chosen = () if "--homeworks" in ours else SUITES
    told = results / "beside.log"
    with ThreadPoolExecutor(1) as other, open(told, "w", encoding="utf-8") as output:
        besides = [other.submit(suite, name, output) for name in BESIDE if name in chosen]
        words = ["render", "--solved", "--build", "--out", str(solved)]
        totals = step("render and build the solved homeworks", ["-m", "coursekit", *words])
        for homework in syllabus.load(ROOT).homeworks:
            place, label = solved / homework.folder, f"solved {homework.id}"
            found = session(label, place, ["tests", *STRICT], arguments, homework.env, results)
            totals.update(found)
        for name in chosen:
            totals.update({} if name in BESIDE else suite(name))
        for found in besides:
            totals.update(found.result())
    print(told.read_text(encoding="utf-8"), flush=True)
    words = [f"{totals['passed']} passed", f"{totals['failed']} failed"]
    words += [f"{totals['skipped']} skipped"] if totals["skipped"] else []
    print(f"\n{', '.join(words)}", flush=True)
    return 1 if totals["failed"] or not totals["passed"] else 0


def step(label, arguments):
    """A step that is no test; its failure counts as one."""
    print(f"\n== {label}", flush=True)
    if not subprocess.run([str(PYTHON), *arguments], cwd=ROOT, env=environment()).returncode:
        return Counter()
    print(f"FAILED: {label}", flush=True)
    return Counter(failed=1)


def session(label, folder, paths, arguments, env, results, output=None):
    """One pytest run, live on the terminal unless a file for its output is given.

    A run that finds no test is a failure, unless the caller's arguments may have selected none.

    Returns:
        Counter: how many tests passed, failed and skipped.
    """
    print(f"\n== {label}", file=output, flush=True)
    report = results / (re.sub(r"\W+", "-", label) + ".xml")
    env = environment(**env, **BARE, COVERAGE_FILE=str(report.with_suffix(".coverage")))
    command = [str(PYTHON), "-m", "pytest", "-q", "-p", "no:cacheprovider", *PLUGINS, TIMEOUT]
    command += [f"--junitxml={report}", *paths, *arguments]
    status = subprocess.run(command, cwd=folder, env=env, stdout=output, stderr=output).returncode
    if not report.is_file():
        print(f"FAILED: {label} (pytest ended with status {status})", file=output, flush=True)
        return Counter(failed=1)
    found: Counter[str] = Counter()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        tests, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
        bad = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
        found.update(passed=tests - bad - skipped, skipped=skipped, failed=bad)
    if not found["failed"] and status not in ((0, 5) if arguments else (0,)):
        found["failed"] = 1
    return found


# ------------------------------------------------------------------------------------------- demo


def demo(arguments):
    if not is_staff():
        fail(
            "the demo belongs to the whole course; in a students' tree begin with: make setup, then hw"
        )
    check_compiler()
    setup(everything=False)
    command = [str(PYTHON), "-m", "coursekit", "demo", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment()).returncode


def main():
    verbs = {"setup": setup, "test": test, "demo": demo}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        print(__doc__.strip())
        raise SystemExit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    try:
        raise SystemExit(verbs[sys.argv[1]](sys.argv[2:]) or 0)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()

""".ci/requirements.lock covers what pyproject.toml asks for, on each Python and system it serves.

A range that is edited without `make lock` fails here in seconds, with the package's name, instead
of in CI's set-up on one of fifteen machines.
"""

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / ".ci" / "requirements.lock").read_text(encoding="utf-8")
SYSTEMS = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
OURS = {"needle-course", "mugrade"}


def project(folder, *extras):
    """The requirements of one of the two packages with extras, their own references resolved."""
    text = (ROOT / folder / "pyproject.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)["project"]
    found = [Requirement(line) for line in table["dependencies"]]
    for extra in extras:
        for line in table["optional-dependencies"][extra]:
            asked = Requirement(line)
            own = asked.name == table["name"]
            found += project(folder, *asked.extras) if own else [asked]
    return found


ASKED = project(".", "staff") + project("shared/mugrade", "test") + [Requirement("setuptools>=77")]
PINS = [Requirement(line) for line in re.findall(r"^([\w.\-\[\]]+==[^\\\n]+?) *\\?$", LOCK, re.M)]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_every_range_has_one_pin_inside_it(python, system):
    here = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_system": SYSTEMS[system],
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "nt" if system == "win32" else "posix",
        "extra": "",
    }
    pins = {}
    for pin in PINS:
        if pin.marker is None or pin.marker.evaluate(here):
            version = str(pin.specifier).removeprefix("==")
            assert canonicalize_name(pin.name) not in pins, f"two pins of {pin.name}"
            pins[canonicalize_name(pin.name)] = version
    for asked in ASKED:
        if asked.marker is not None and not asked.marker.evaluate(here):
            continue
        version = pins.get(canonicalize_name(asked.name))
        assert version and asked.specifier.contains(version, prereleases=True), (
            f"{asked} is asked for, {version or 'nothing'} is locked; run: make lock"
        )


def test_every_pin_has_a_hash_and_no_place_is_named():
    pinned = re.split(r"^(?=\S)", LOCK.partition("\n")[2], flags=re.M)[1:]
    assert len(pinned) == len(PINS) > 100
    for block in pinned:
        assert "--hash=sha256:" in block, block.splitlines()[0]
    assert "://" not in LOCK and "index-url" not in LOCK


def test_nothing_for_a_gpu_and_no_torch_is_forced_on_ci():
    names = {pin.name for pin in PINS}
    assert not {name for name in names if name.startswith("torch")}
    assert {name for name in names if name.startswith("nvidia")} == {"nvidia-cuda-cuobjdump"}
    assert not names & OURS

"""NEEDLE_DEVICES leaves devices out, and nothing else."""

import pytest
from course_testing.devices import chosen

ALL = [pytest.param(name, id=name) for name in ("cpu", "cuda", "cpu_numpy")]


@pytest.mark.parametrize(
    ("wish", "left"),
    [
        (None, ["cpu", "cuda", "cpu_numpy"]),
        ("", ["cpu", "cuda", "cpu_numpy"]),
        ("cpu_numpy", ["cpu_numpy"]),
        ("cpu_numpy, cpu", ["cpu", "cpu_numpy"]),
        ("tpu", []),
    ],
)
def test_only_the_devices_that_are_named_are_tested(monkeypatch, wish, left):
    monkeypatch.delenv("NEEDLE_DEVICES", raising=False)
    if wish is not None:
        monkeypatch.setenv("NEEDLE_DEVICES", wish)
    assert [device.id for device in chosen(ALL)] == left

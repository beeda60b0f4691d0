"""Which devices the tests run on: all, or those that NEEDLE_DEVICES names."""

import os


def chosen(devices):
    """The `pytest.param`s, whose ids are the devices' names, that NEEDLE_DEVICES lists.

    NEEDLE_DEVICES=cpu_numpy, or several names with commas between them; unset it means all. A test
    for which none is left is skipped.
    """
    names = [name.strip() for name in os.environ.get("NEEDLE_DEVICES", "").split(",")]
    return [device for device in devices if device.id in names] if any(names) else list(devices)

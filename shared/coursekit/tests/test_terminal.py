"""What any room says to a terminal."""

from __future__ import annotations

import io

from coursekit.core.terminal import table
from rich.console import Console


def test_a_table_that_is_wider_than_the_terminal_loses_nothing():
    said = {}
    for width in (40, 30):
        made = table("!problem", ">passed", ">failed", "verdict")
        made.add_row("hw0/add", "2", "1", "FAIL")
        out = io.StringIO()
        Console(file=out, width=width).print(made)
        said[width] = out.getvalue()
    assert "| FAIL" in said[40]
    assert " ".join(said[30].split()) == "hw0/add: passed 2, failed 1, verdict FAIL"

"""The trace as a picture and in characters."""

import xml.etree.ElementTree as ElementTree

import numpy as np
from cluster import Network, run

SVG = "{http://www.w3.org/2000/svg}"


def program(comm):
    comm.compute(1 + comm.rank, "forward")
    other = 1 - comm.rank
    request = comm.isend(np.zeros(8), other)
    comm.recv(other)
    request.wait()


OUTCOME = run(program, 2, network=Network(1.0, 0.0), flops_per_second=1.0)


def test_characters_show_who_computes_and_who_waits():
    # rank 0 computes to 1 and waits to 3; rank 1 computes to 2 and waits to 3.
    assert OUTCOME.text(12).splitlines() == [
        "rank 0  |####........|",
        "rank 1  |########....|",
        "         0 to 3 s;  # compute  . wait",
    ]


def test_the_picture_has_a_bar_for_each_event_and_a_line_for_each_message():
    root = ElementTree.fromstring(OUTCOME.svg("Two <ranks>"))
    assert root.find(f"{SVG}title").text == "Two <ranks>"
    bars = [g for g in root.findall(f"{SVG}g") if g.find(f"{SVG}rect") is not None]
    lines = [g for g in root.findall(f"{SVG}g") if g.find(f"{SVG}line") is not None]
    assert len(bars) == 4 and len(lines) == 2
    widths = [float(bar.find(f"{SVG}rect").get("width")) for bar in bars]
    assert np.isclose(sum(widths), 2 * (760 - 62 - 14), atol=0.1)


def test_the_picture_is_told_in_words():
    told = ElementTree.fromstring(OUTCOME.svg()).find(f"{SVG}desc").text
    assert "2 ranks, 3 s of virtual time, 2 messages of 128 bytes together." in told
    assert "Rank 1 computes for 2 s, waits for 1 s and sends 64 bytes." in told


def test_a_run_without_events_can_be_drawn():
    idle = run(lambda comm: None, 2)
    assert "<svg" in idle.svg() and idle.text(4).startswith("rank 0  |    |")

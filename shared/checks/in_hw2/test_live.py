"""A line that is written over on a terminal; elsewhere, and for a screen reader, only what stays."""

import io
import sys

import pytest
from live import Line
from mlp_resnet import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def said(monkeypatch):
    """What a program says that shows 1, 22 and 3, and then says "done", on a kind of output."""

    def run(output, quiet=False, **env):
        for name in ("HW_PLAIN", "TERM"):
            monkeypatch.setenv(name, env.get(name, ""))
        monkeypatch.setattr(sys, "stdout", output)
        line = Line(quiet, seconds=0)
        for text in ("1", "22", "3"):
            line.show(text)
        line.say("done")
        line.say("and again")
        return output.getvalue()

    return run


def test_on_a_terminal_the_line_is_written_over_and_cleared(said):
    assert said(Terminal()) == "\r1\r22\r3 \r \rdone\nand again\n"


@pytest.mark.parametrize(
    "output, settings",
    [
        (io.StringIO, {}),
        (Terminal, {"HW_PLAIN": "1"}),
        (Terminal, {"TERM": "dumb"}),
        (Terminal, {"quiet": True}),
    ],
    ids=["pipe", "plain", "dumb", "quiet"],
)
def test_elsewhere_only_what_stays_is_written(said, output, settings):
    assert said(output(), **settings) == "done\nand again\n"


def test_texts_that_come_too_fast_are_left_out(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    line = Line(seconds=1e6)
    for text in ("first", "second"):
        line.show(text)
    assert "second" not in sys.stdout.getvalue()


def test_the_training_tells_each_epoch_in_a_line(capsys):
    told = Progress(Line())
    for loss in (0.5, 0.25):
        epoch = lambda *arguments, loss=loss: (0.125, loss)
        assert told.epoch(None, None, "optimizer", run=epoch) == (0.125, loss)
        told.epoch(None, None, run=epoch)
    assert capsys.readouterr().out.splitlines() == [
        "epoch 1: training error 12.50%, loss 0.5000; test error 12.50%, loss 0.5000",
        "epoch 2: training error 12.50%, loss 0.2500; test error 12.50%, loss 0.2500",
    ]

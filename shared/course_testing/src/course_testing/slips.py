"""A failing test names the mistake: slips in the tests' own oracles.

An oracle says where people go wrong, beside the line that is right:

    mean = slip("this is Adam without bias correction", m / (1 - beta1**t), m)

`slip` gives the right value. When a test has failed, `explain` runs it once more for each slip that
its oracles came by, with that slip made. If then the comparison that failed holds, and for one slip
only, the student's program computes just what the wrong oracle does, and the slip's sentence is said.
No slip that fits, or two: nothing is said.
"""

import contextlib
import os
import re
import sys

TRIES = 4
"""Failing tests in which all slips are tried while none has been found to fit."""


class _State:
    """What happens in the test that runs now."""

    made = None  # the sentence of the slip that is made on purpose
    met: dict = {}  # the sentences that came by, in order
    passed = 0  # comparisons that have held
    failed = False  # did a comparison fail, or a plain assert?


_now = _State()


def slip(sentence, right, wrong):
    """`right`, or `wrong` while `explain` tries whether a student's program made this slip.

    Args:
        sentence: names the mistake, for the person who made it.
        wrong: the value, or a function without arguments that computes it when it is asked for.
    """
    _now.met.setdefault(sentence)
    if sentence != _now.made:
        return right
    return wrong() if callable(wrong) else wrong


def compared(holds):
    """`assert_close` reports each comparison here."""
    _now.passed += holds
    _now.failed = _now.failed or not holds


class Explainer:
    """Explains the failures of one session; it remembers what fitted."""

    def __init__(self):
        self.found = {}  # test function -> the slip that explained an earlier failure of it
        self.tried = {}  # test function -> failures for which all slips were tried in vain

    def begin(self):
        _now.made, _now.met, _now.passed, _now.failed = None, {}, 0, False

    def explain(self, name, error, again):
        """Add to the failure's message which slip it is, if one fits.

        Args:
            name: what tests of the same code share, such as the name of the test function.
            error: the AssertionError.
            again: runs the test's function once more.
        """
        met, held, of_comparison = list(_now.met), _now.passed, _now.failed
        known = self.found.get(name)
        if known in met and _fit(known, again, held, of_comparison) == WHOLLY:
            _say(error, known)
            return
        if self.tried.get(name, 0) >= TRIES:
            return
        if not met or _fit(None, again, held, of_comparison) != NOT:
            return  # nothing to try, or a test that fails only sometimes
        fits = {sentence: _fit(sentence, again, held, of_comparison) for sentence in met}
        best = [s for s in met if fits[s] == WHOLLY] or [s for s in met if fits[s] == HERE]
        if len(best) == 1:
            self.found[name] = best[0]
            _say(error, best[0])
        else:
            self.tried[name] = self.tried.get(name, 0) + 1


NOT, HERE, WHOLLY = range(3)


def _fit(sentence, again, held, of_comparison):
    """Run the test with the slip made: does the comparison that failed hold, or the whole test?"""
    _now.made, _now.passed, _now.failed = sentence, 0, False
    try:
        with _silence():
            again()
    except (Exception, SystemExit):
        return HERE if of_comparison and _now.passed > held else NOT
    except BaseException as outcome:  # pytest's own: a skip, a failure
        if isinstance(outcome, KeyboardInterrupt):
            raise
        return NOT
    finally:
        _now.made = None
    return WHOLLY


@contextlib.contextmanager
def _silence():
    """What the student's code prints was printed once; its breakpoints have been reached once."""
    hook, sys.breakpointhook = sys.breakpointhook, lambda *args, **kwargs: None
    try:
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            yield
    finally:
        sys.breakpointhook = hook


def keep_sentence(error):
    """Of an assert that comes with a sentence of the course, only that: not how pytest saw it fail."""
    text = str(error)
    if re.match(r"[a-z][\w-]*/\w+: ", text) and "\nassert " in text:
        error.args = (text[: text.index("\nassert ")],)


def _say(error, sentence):
    """The sentence in the message, instead of what the numbers alone look like."""
    rows = str(error).splitlines()
    kept = [
        row for row in rows if not row.startswith("  hint: ") or row.startswith("  hint: float64")
    ]
    error.args = ("\n".join([*kept, f"  hint: {sentence}"]),)

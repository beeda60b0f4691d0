"""`hw watch` at the terminal: waits for saves and keys, says what came of them. Nothing is redrawn."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

import watchfiles

from coursekit.cli import show
from coursekit.core import terminal
from coursekit.core.errors import CourseError
from coursekit.core.problems import Problem
from coursekit.core.report import Report
from coursekit.core.syllabus import Course, Homework
from coursekit.datasets import data
from coursekit.student import differences, progress, reset, work
from coursekit.student.watch import Verdict, Watch

HELP = "h hint   n next problem   t test again   d diff   r reset   q quit"
SETTLE_MS, POLL_MS = 30, 60
"""How long a save may take to settle, and how often keys are looked for."""


def run(
    course: Course, homework: Homework, only: Problem | None, device: str | None = None
) -> None:
    """Until q or Ctrl-C."""
    data.fill_homework(course.root, course.folder(homework.id))
    seat = Seat(Watch(course, homework, only, device))
    with terminal.keys() as pressed, ThreadPoolExecutor(1) as pool:
        print(f"watching {homework.id}; save a file to test what you changed\n{HELP}", flush=True)
        events = watchfiles.watch(
            course.folder(homework.id),
            watch_filter=lambda _, path: seat.watch.concerns(path),
            debounce=10 * SETTLE_MS,
            step=SETTLE_MS,
            rust_timeout=POLL_MS,
            yield_on_timeout=True,
        )
        try:
            seat.test(pool)
            for changes in events:
                if changes:
                    seat.saved(pool)
                seat.answer(pool)
                key = pressed()
                if key == "q":
                    break
                if key and not seat.busy:
                    seat.key(key, pool)
        except KeyboardInterrupt:
            pass
        finally:
            seat.watch.warm.stop()
    print("\nwatching ended", flush=True)


class Seat:
    """One student at one terminal: what runs, and what a key means now."""

    def __init__(self, watch: Watch):
        self.watch = watch
        self.job: Future[Verdict] | None = None
        self.look: Future[Report] | None = None  # the checked build's, after a verdict
        self.asked = False  # whether a reset waits for its y

    @property
    def busy(self) -> bool:
        return self.job is not None

    def test(self, pool: ThreadPoolExecutor) -> None:
        """Start testing the problem in hand; what still runs is stopped."""
        self.look = None
        self.job = pool.submit(self.watch.test, self.watch.newer())

    def saved(self, pool: ThreadPoolExecutor) -> None:
        names = ", ".join(f"{self.watch.homework.folder}/{name}" for name in self.watch.saved())
        print(
            f"\n{time.strftime('%H:%M:%S')} {names or 'a save'}: testing {self.watch.at.id}",
            flush=True,
        )
        self.test(pool)

    def answer(self, pool: ThreadPoolExecutor) -> None:
        """Say what came of the test that has ended, and then what the checked build says of it."""
        if self.look is not None and self.look.done():
            look, self.look = self.look, None
            show.said(look.result())
            print(end="", flush=True)
        if self.job is None or not self.job.done():
            return
        job, self.job = self.job, None
        try:
            verdict = job.result()
        except (CourseError, OSError) as error:  # OSError: a file that went while it was read
            print(f"{error}\n{HELP}", flush=True)
            return
        if verdict.word == "stopped":
            return
        told = ", ".join(filter(None, (verdict.word, verdict.counts)))
        print(f"{verdict.problem.id}: {told} ({verdict.seconds:.1f} s)")
        if verdict.word in ("ok", "skipped"):
            print(f"next: {progress.next_step(self.watch.course)}")
        print(HELP, flush=True)
        if verdict.is_open:
            self.look = pool.submit(self.watch.look_again, self.watch.turn, verdict)

    def key(self, key: str, pool: ThreadPoolExecutor) -> None:
        """Do what the key stands for; any other key says which there are."""
        course, problem = self.watch.course, self.watch.at
        asked, self.asked = self.asked, False
        try:
            if asked:
                self._reset(key == "y")
            elif key == "h":
                number, text = work.next_hint(course, problem)
                print(f"\n{problem.id}, hint {number} of 3:\n\n{text}\n")
            elif key == "d":
                print()
                show.comparison(differences.of_problem(course, problem))
            elif key == "r":
                self.asked = True
                print(f"\nput the stub of {problem.id} back? your version is kept: y or n")
            elif key in "nt":
                if key == "n" and not self.watch.step():
                    print(f"\nnext: {progress.next_step(course)}")
                else:
                    print(f"\ntesting {self.watch.at.id}", flush=True)
                    self.test(pool)
            else:
                print(HELP)
        except (CourseError, OSError) as error:
            print(error)
        print(end="", flush=True)

    def _reset(self, really: bool) -> None:
        problem = self.watch.at
        if not really:
            print("nothing was changed")
            return
        show.put_back(problem, *reset.reset(self.watch.course, problem))

"""How much the tests and the submitted values say of wrong programs, by the mutants' own tables.

`hw prove` shows that each table is true; here only their shares are held.
"""

from coursekit.core import syllabus
from coursekit.staff import mutants

COURSE = syllabus.load()
MUTANTS = [mutant for problem in COURSE.everything for mutant in mutants.of(COURSE, problem)]


def test_at_least_seven_of_ten_mutants_are_named_at_the_first_failing_test():
    named = sum(bool(mutant.named) for mutant in MUTANTS)
    assert named >= 0.7 * len(MUTANTS), f"{named} of {len(MUTANTS)}"


def test_at_most_ten_mutants_are_unseen_by_values_each_with_a_reason():
    unseen = {f"{m.problem} {m.name}": m.unseen for m in MUTANTS if m.unseen}
    assert len(unseen) <= 10, unseen
    assert all(len(reason.split()) > 3 for reason in unseen.values()), unseen

"""needle stays small: a reasonable library fits where the course promises that it fits."""

from coursekit.staff import count


def test_needle_of_homeworks_1_and_2_stays_under_1300_lines(solved):
    files = sorted((solved / "hw2" / "python" / "needle").rglob("*.py"))
    assert sum(count.count(path.read_text(encoding="utf-8")) for path in files) < 1300

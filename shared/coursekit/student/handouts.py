"""The handouts as they were published: what a student's files are compared with and merged over."""

from __future__ import annotations

from coursekit.core import tree
from coursekit.core.errors import CourseError
from coursekit.core.syllabus import Course


def pristine(course: Course, stage: str) -> tree.Files:
    """hwN as published, whatever stands in the folder hwN itself."""
    folder = course.root / tree.HANDOUTS / stage
    if not folder.is_dir():
        raise CourseError(f"{tree.HANDOUTS}/{stage} is missing; take it from the course's release")
    return tree.read(folder)

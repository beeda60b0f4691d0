"""What every room stands on: the syllabus, trees of files, builds, running programs."""

"""What a student does: start, test, submit, reset, see how far one is."""

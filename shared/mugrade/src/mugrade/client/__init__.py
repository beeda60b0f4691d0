"""The client: what runs on a student's machine. Nothing here prints or parses a command line."""

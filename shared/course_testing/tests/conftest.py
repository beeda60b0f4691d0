"""toy/ is a homework in small, which test_names.py runs pytest in."""

collect_ignore = ["toy"]

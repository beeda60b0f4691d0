"""What the server can do, as plain functions that take a `Session` and the time.

Routes (JSON, public dialect) and pages call these and contain no query of their own. A function
that may refuse raises `Refusal`. `policies` and `sealed` are pure and know no database.
"""

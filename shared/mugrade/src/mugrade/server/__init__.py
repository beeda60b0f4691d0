"""mugrade's server: stores attempts, compares them with published values, keeps the score.

`create_app(settings)` in `mugrade.server.app` makes the ASGI application; importing this package
alone imports nothing heavy.
"""

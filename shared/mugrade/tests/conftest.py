"""Settings every mugrade test shares."""

from hypothesis import settings

settings.register_profile("mugrade", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("mugrade")

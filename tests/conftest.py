"""What every test shares: properties are searched the same way on every run."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("trioframe", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("trioframe")

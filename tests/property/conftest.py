"""How examples are generated: the same ones on every run of the CI, and without a deadline.

The machine may be busy with other tests, so how long one example takes says nothing.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "books",
    max_examples=200,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("books")

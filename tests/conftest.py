"""What holds for every test: tests say nothing to the CI system that runs them, and none is judged by its time."""

import os

from hypothesis import HealthCheck, settings

for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
    os.environ.pop(name, None)

# Hypothesis' deadline and its check of slow inputs are assertions of time: a busy machine would fail them.
settings.register_profile("refgrad", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("refgrad")

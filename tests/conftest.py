"""What every test run shares: hypothesis searches a fixed, seeded part; longer ones are by hand.

`HYPOTHESIS_PROFILE=search` (with `--hypothesis-seed`) looks elsewhere each time.
"""

import os

from hypothesis import HealthCheck, settings

# Machines of CI are shared: slow generation says nothing about the code under test.
settings.register_profile(
    "fixed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

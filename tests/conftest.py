"""What every test run shares: hypothesis searches a fixed, seeded part; longer ones are by hand.

`HYPOTHESIS_PROFILE=search` (with `--hypothesis-seed`) looks elsewhere each time.
"""

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Machines of CI are shared: slow generation says nothing about the code under test.
settings.register_profile(
    "fixed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[Any]) -> Generator[None]:
    """Let `xdist_group` mean something again.

    pytest-xdist 3.8 writes a group into `_nodeid`, pytest 9.2 reads `_id`: `--dist loadgroup` had
    silently become `load`, and every worker made what a group was to share.
    """
    yield
    for item in items:
        grouped = getattr(item, "_nodeid", item.nodeid)
        if grouped != item.nodeid:
            item._id = type(item._id).parse(grouped)

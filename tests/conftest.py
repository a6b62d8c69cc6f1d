"""What every test run shares: hypothesis searches a fixed, seeded part; longer ones are by hand.

`HYPOTHESIS_PROFILE=search` (with `--hypothesis-seed`) looks elsewhere each time.
"""

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.ports import kept_port

# Machines of CI are shared: slow generation says nothing about the code under test.
settings.register_profile(
    "fixed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture
def unused_tcp_port() -> int:
    """A port on which nobody listens, and nobody will while the tests run."""
    return kept_port()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[Any]) -> Generator[None]:
    """Give each worker whole groups, and the long tests first.

    Tests of a file whose fixture they share are one group (`xdist_group`): otherwise each worker
    would make it again. A long test that begins last is waited for by all workers but one.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is not None:
            continue
        if item.location[0].startswith("tests/architecture/"):  # the parsed tree is shared
            item.add_marker(pytest.mark.xdist_group("architecture"))
        elif _shares_a_fixture(item):
            item.add_marker(pytest.mark.xdist_group(item.location[0]))
    alone = [item for item in items if item.get_closest_marker("xdist_group") is None]
    alone.sort(key=lambda item: item.get_closest_marker("slow") is None)
    together = [item for item in items if item.get_closest_marker("xdist_group") is not None]
    items[:] = together + alone
    yield
    # pytest-xdist 3.8 writes a group into `_nodeid`, pytest 9.2 reads `_id`: without this
    # `--dist loadgroup` silently becomes `load`.
    for item in items:
        grouped = getattr(item, "_nodeid", item.nodeid)
        if grouped != item.nodeid:
            item._id = type(item._id).parse(grouped)


def _shares_a_fixture(item: Any) -> bool:
    """Whether a fixture of the test's own file is made once for all tests of it."""
    found = getattr(item, "_fixtureinfo", None)
    defined = found.name2fixturedefs.values() if found is not None else ()
    return any(
        one.scope != "function" and one.func.__module__ == item.module.__name__
        for fixtures in defined
        for one in fixtures
    )

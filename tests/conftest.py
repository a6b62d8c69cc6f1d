"""What every test run shares: hypothesis searches a fixed, seeded part; longer ones are by hand.

`HYPOTHESIS_PROFILE=search` (with `--hypothesis-seed`) looks elsewhere each time.
"""

import contextlib
import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.ports import kept_port
from tests.support.priority import after_others

# Machines of CI are shared: slow generation says nothing about the code under test.
settings.register_profile(
    "fixed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


COMPUTING = ("tests/unit/", "tests/property/", "tests/sim/", "tests/architecture/")
"""Where tests work more than they wait."""


@pytest.fixture
def unused_tcp_port() -> int:
    """A port on which nobody listens, and nobody will while the tests run."""
    return kept_port()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[Any]) -> Generator[None]:
    """Give each worker whole groups, the long tests first, and some of both kinds at all times.

    Tests of a file whose fixture they share are one group (`xdist_group`): otherwise each worker
    would make it again. A long test that begins last is waited for by all workers but one. Tests
    that wait (for processes, mostly) leave the cores to those that compute, if these run beside
    them and not after them.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is not None:
            continue
        if item.nodeid.startswith("tests/architecture/"):  # the parsed tree is shared
            item.add_marker(pytest.mark.xdist_group("architecture"))
        elif _shares_a_fixture(item):
            item.add_marker(pytest.mark.xdist_group(item.location[0]))
    units: dict[str, list[Any]] = {}
    for item in items:
        group = item.get_closest_marker("xdist_group")
        units.setdefault(group.args[0] if group is not None else item.nodeid, []).append(item)
    longest = sorted(units.values(), key=_expected_ms, reverse=True)
    computing = [unit for unit in longest if _computes(unit[0])]
    waiting = [unit for unit in longest if not _computes(unit[0])]
    items[:] = [item for unit in _mixed(waiting, computing) for item in unit]
    yield
    # pytest-xdist 3.8 writes a group into `_nodeid`, pytest 9.2 reads `_id`: without this
    # `--dist loadgroup` silently becomes `load`.
    for item in items:
        grouped = getattr(item, "_nodeid", item.nodeid)
        if grouped != item.nodeid:
            item._id = type(item._id).parse(grouped)


def _computes(item: Any) -> bool:
    return item.nodeid.startswith(COMPUTING)


def _expected_ms(unit: list[Any]) -> int:
    """How long a unit takes, as such tests do on average."""
    quick, slow = (30, 3_000) if _computes(unit[0]) else (500, 8_000)
    return sum(quick if item.get_closest_marker("slow") is None else slow for item in unit)


def _mixed(waiting: list[Any], computing: list[Any]) -> Iterator[Any]:
    """Both in their own order; when a part of the one is done, as large a part of the other is."""
    waiting_ms, computing_ms = (sum(map(_expected_ms, units)) for units in (waiting, computing))
    left, due_ms = iter(computing), 0.0
    for unit in waiting:
        yield unit
        due_ms += _expected_ms(unit) * computing_ms / waiting_ms
        while due_ms > 0 and (other := next(left, None)) is not None:
            yield other
            due_ms -= _expected_ms(other)
    yield from left


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: Any) -> Generator[None]:
    """What computes lets go first what waits: the tests, and the processes that they start."""
    with after_others() if _computes(item) else contextlib.nullcontext():
        return (yield)


def _shares_a_fixture(item: Any) -> bool:
    """Whether a fixture of the test's own file is made once for all tests of it."""
    found = getattr(item, "_fixtureinfo", None)
    defined = found.name2fixturedefs.values() if found is not None else ()
    return any(
        one.scope != "function" and one.func.__module__ == item.module.__name__
        for fixtures in defined
        for one in fixtures
    )

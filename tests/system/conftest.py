"""What the system tests share: which run by default, and the machines they are tried on.

`make test` runs the short ones. `make test-system` sets SEATRIAL_SYSTEM=1 and runs the long ones
too: packages in clean chroots, the daemon under a really running systemd, images, fresh machines.
"""

import os

import pytest

LONG_ASKED = os.environ.get("SEATRIAL_SYSTEM") == "1"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "system_long: runs only under `make test-system` (SEATRIAL_SYSTEM=1)"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip = pytest.mark.skip(reason="long: `make test-system` runs it (SEATRIAL_SYSTEM=1)")
    for item in items:
        if item.get_closest_marker("system_long") and not LONG_ASKED:
            item.add_marker(skip)

"""The folders are the import names: nothing else in this environment may provide them."""

import importlib.metadata

import pytest

from daemon.ownership import DISTRIBUTION, IMPORT_NAMES, check_import_ownership
from tests.architecture.tree import PACKAGES


def test_the_check_covers_every_package_of_ours() -> None:
    assert set(IMPORT_NAMES) == set(PACKAGES)


@pytest.mark.parametrize("name", IMPORT_NAMES)
def test_no_other_distribution_provides_the_name(name: str) -> None:
    owners = set(importlib.metadata.packages_distributions().get(name, []))
    assert owners <= {DISTRIBUTION}, f"{name!r} is also provided by {owners - {DISTRIBUTION}}"


def test_the_start_up_check_agrees() -> None:
    assert check_import_ownership() == []

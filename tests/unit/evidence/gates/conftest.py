"""One bench for every gate test."""

import pytest

from tests.support.gates import GateBench


@pytest.fixture
def bench(tmp_path):
    return GateBench(tmp_path)

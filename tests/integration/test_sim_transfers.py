"""Money that comes and goes at the simulated venue without a trade."""

import urllib.error

import pytest

from tests.support.sim_process import SimProcess


def free(sim: SimProcess, asset: str) -> str:
    rows = sim.signed("GET", "account")["balances"]
    return next(str(row["free"]) for row in rows if row["asset"] == asset)


def test_what_is_free_can_be_withdrawn_and_no_more() -> None:
    with SimProcess(seed=1, symbols="BTCUSDT", flow_rate=0) as sim:
        before = float(free(sim, "USDT"))
        sim.admin_post("deposit", asset="USDT", amount="1.5")
        sim.admin_post("deposit", asset="USDT", amount="-100")
        assert float(free(sim, "USDT")) == before - 98.5
        for amount in (f"-{before}", "--1", "-", "1e3"):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                sim.admin_post("deposit", asset="USDT", amount=amount)
        assert float(free(sim, "USDT")) == before - 98.5

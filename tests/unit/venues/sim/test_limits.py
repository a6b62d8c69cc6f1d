import pytest

from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.sim.request_limits import LimitConfig, Limiter
from tests.support.sim_stage import SYMBOL, Stage

S = 1_000_000_000
T0 = 1_790_000_000 * S
MINUTE_START = T0 - T0 % (60 * S)


def refusal(limiter: Limiter, now_ns: int) -> tuple[int, int]:
    """(status, seconds to wait) of the next request; (200, 0) when it is admitted."""
    try:
        limiter.admit(now_ns)
    except DialectError as error:
        until_ms = int(str((error.data or {})["retryAfter"]))
        return error.status, until_ms // 1000 - now_ns // S
    return 200, 0


def test_weight_windows_are_aligned_to_the_clock() -> None:
    limiter = Limiter(LimitConfig(weight_per_minute=10))
    limiter.charge(10, MINUTE_START + 50 * S)
    assert refusal(limiter, MINUTE_START + 50 * S) == (429, 10)
    assert refusal(limiter, MINUTE_START + 60 * S) == (200, 0)


def test_asking_on_while_limited_brings_a_ban_and_the_next_one_is_longer() -> None:
    limiter = Limiter(LimitConfig(requests_while_limited_max=3, first_ban_s=100))
    limiter.limit_until(MINUTE_START + 50 * S)
    statuses = [refusal(limiter, MINUTE_START)[0] for _ in range(5)]
    assert statuses == [429, 429, 429, 418, 418]
    assert refusal(limiter, MINUTE_START + 99 * S) == (418, 1)
    later = MINUTE_START + 100 * S
    assert refusal(limiter, later) == (200, 0)
    limiter.limit_until(later + 50 * S)
    assert [refusal(limiter, later)[0] for _ in range(4)][-1] == 418
    assert refusal(limiter, later + 199 * S) == (418, 1)


def test_order_counts_fall_with_first_fills_and_never_below_zero() -> None:
    limiter = Limiter(LimitConfig(orders_per_10s=3))
    for _ in range(3):
        limiter.check_orders("a", 1, T0)
        limiter.count_orders("a", 1, T0)
    with pytest.raises(DialectError) as caught:
        limiter.check_orders("a", 1, T0)
    assert (caught.value.code, caught.value.status) == (-1015, 429)
    limiter.check_orders("b", 1, T0)
    limiter.first_fill("a", maker=False, now_ns=T0)
    limiter.check_orders("a", 1, T0)
    for _ in range(5):
        limiter.first_fill("a", maker=True, now_ns=T0)
    assert limiter.order_rows(T0, "a")[0]["count"] == 0


def test_a_full_day_no_longer_raises_the_ten_second_count() -> None:
    limiter = Limiter(LimitConfig(orders_per_day=1))
    limiter.count_orders("a", 1, T0)
    limiter.count_orders("a", 1, T0)
    counts = [row["count"] for row in limiter.order_rows(T0, "a")]
    assert counts == [1, 2]


def test_an_amend_weighs_four_whether_it_succeeds_or_fails() -> None:
    stage = Stage()
    stage.buy("1", "50000", id="mine")
    limiter = stage.exchange.limiter

    def weight() -> int:
        return int(limiter.headers(stage.now_ns)["x-mbx-used-weight-1m"])

    before = weight()
    amend = {"symbol": SYMBOL, "origClientOrderId": "mine"}
    assert stage.rest("PUT", "order/amend/keepPriority", **amend, newQty="0.5")[0] == 200
    assert weight() == before + 4
    assert stage.rest("PUT", "order/amend/keepPriority", **amend, newQty="0.5")[0] == 400
    assert weight() == before + 8
    assert stage.ws("order.amend.keepPriority", **amend, newQty="7")["status"] == 400
    assert weight() == before + 12


@pytest.mark.parametrize(
    ("mode", "exceeded", "target", "status", "code"),
    [
        ("STOP_ON_FAILURE", "", "mine", 429, -1015),
        ("STOP_ON_FAILURE", "DO_NOTHING", "mine", 429, -1015),
        ("STOP_ON_FAILURE", "CANCEL_ONLY", "mine", 429, -2021),
        ("STOP_ON_FAILURE", "CANCEL_ONLY", "nobodys", 429, -2022),
        ("ALLOW_FAILURE", "CANCEL_ONLY", "mine", 409, -2021),
        ("ALLOW_FAILURE", "CANCEL_ONLY", "nobodys", 400, -2022),
    ],
)
def test_a_replace_over_the_order_limit_does_what_its_mode_says(
    mode: str, exceeded: str, target: str, status: int, code: int
) -> None:
    stage = Stage(limits=LimitConfig(orders_per_10s=1))
    order = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
             "quantity": "1", "price": "50000"}  # fmt: skip
    assert stage.rest("POST", "order", **order, newClientOrderId="mine")[0] == 200
    asked = {**order, "cancelReplaceMode": mode, "cancelOrigClientOrderId": target}
    if exceeded:
        asked["orderRateLimitExceededMode"] = exceeded
    got, body, _ = stage.rest("POST", "order/cancelReplace", **asked)
    assert (got, body["code"]) == (status, code)
    # Only a partial failure has canceled the order; in every case nothing new was placed.
    assert [one.client_order_id for one in stage.venue.open_orders("main")] == (
        [] if code == -2021 else ["mine"]
    )
    if code == -2021:
        assert body["data"]["newOrderResponse"]["code"] == -1015

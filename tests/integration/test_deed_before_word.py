"""Every stopping command with every bad stream: the venue's own ledger is the judge.

Real processes: a venue, a daemon, and the tool with one standard stream spoiled. The deed must be
done, the exit code must be that of the same command with good streams, and the process must end.
"""

import random
from collections.abc import Iterator

import pytest

from tests.support.bad_streams import BAD, check
from tests.support.stop_stage import StopStage

STOPS = {
    "kill": ("kill", "--reason", "a"),
    "kill --json": ("kill", "--reason", "a", "--json"),
    "kill --or-direct": ("kill", "--reason", "a", "--or-direct=5"),
    "stop": ("stop", "--reason", "a"),
    "stop --json": ("stop", "--reason", "a", "--json"),
    "cancel-all": ("cancel-all", "--reason", "a"),
    "cancel-all --json": ("cancel-all", "--json"),
    "flatten": ("flatten", "--reason", "a", "--yes"),
    "shutdown": ("shutdown", "--reason", "a"),
    "flatten --json": ("flatten", "--reason", "a", "--yes", "--json"),
}
MATRIX = [(name, bad, where) for name in STOPS for bad in BAD for where in ("stdout", "stderr")]
ALWAYS = [case for case in MATRIX if case[0] == "kill"]
SAMPLE = ALWAYS + random.Random(11).sample([one for one in MATRIX if one not in ALWAYS], 16)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StopStage]:
    directory = tmp_path_factory.mktemp("stage")
    with StopStage(
        directory,
        symbols=("BTCUSDT",),
        orders_per_symbol=2,
        round_trip=False,
        settings={"session": {"flatten_allowed": True}},
    ) as made:
        made.start_daemon()
        yield made


def ready(stage: StopStage) -> None:
    """Orders rest again, whatever the case before has done."""
    if stage.daemon is None:
        stage.start_daemon()
    status = stage.status()
    if status.get("latched"):
        stage.re_arm()
    elif status.get("session_id"):
        stage.call("stop", reason="next case")  # the strategy fills its ladder once a session
        stage.until(lambda: not stage.status().get("session_id"), "no session is on")
    stage.fill()
    assert len(stage.venue_open()) == stage.orders_open


def ids_of(stage: StopStage) -> set[str]:
    """Our orders that are open at the venue."""
    return {row["client_order_id"] for row in stage.venue_open()}


def come_to_rest(stage: StopStage, name: str) -> None:
    """The published status has caught up with what the command did."""
    if name == "shutdown":
        assert stage.daemon is not None
        assert stage.daemon.wait(timeout=60) == 0
        stage.kill_hard()
    elif name.startswith("kill"):
        assert list((stage.state_dir / "kill-latch").iterdir()), "latched on the disk"
        stage.until(lambda: stage.status().get("latched"), "latched")
    elif not name.startswith("cancel-all"):
        stage.until(lambda: not stage.status().get("session_id"), "no session is on")


def check_with_daemon(stage: StopStage, name: str, bad: str, where: str) -> None:
    ready(stage)
    words = STOPS[name]
    before = ids_of(stage)
    check(["--socket", str(stage.socket), *words], bad, where)
    # After `cancel-all` the session goes on, and a strategy may place anew.
    still = before.intersection if name.startswith("cancel-all") else set
    stage.until(lambda: not still(ids_of(stage)), "the venue's books hold none of ours")
    come_to_rest(stage, name)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "bad", "where"), SAMPLE)
def test_the_deed_is_done_whatever_becomes_of_the_words(
    stage: StopStage, name: str, bad: str, where: str
) -> None:
    check_with_daemon(stage, name, bad, where)


@pytest.mark.campaign
@pytest.mark.parametrize(("name", "bad", "where"), [case for case in MATRIX if case not in SAMPLE])
def test_the_rest_of_the_matrix(stage: StopStage, name: str, bad: str, where: str) -> None:
    check_with_daemon(stage, name, bad, where)

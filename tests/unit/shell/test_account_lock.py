"""The lock of an account: one holder, freed by death. The kernel is the judge."""

import subprocess
import sys

import pytest

from daemon.shell.process.account_lock import AccountBusy, AccountLock

HOLD = """
import sys
from daemon.shell.process.account_lock import AccountLock
lock = AccountLock(sys.argv[1], "sim", "here")
lock.take()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_daemon_is_refused_until_the_first_is_dead() -> None:
    command = [sys.executable, "-c", HOLD, "unit-test-account"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        lock = AccountLock("unit-test-account", "sim", "here")
        with pytest.raises(AccountBusy, match="another seatriald"):
            lock.take()
        holder.kill()
        holder.wait(timeout=60)
    lock.take()
    lock.release()


def test_other_accounts_and_environments_do_not_meet() -> None:
    locks = [
        AccountLock("a", "sim", "here"),
        AccountLock("b", "sim", "here"),
        AccountLock("a", "binance-spot-testnet", "here"),
    ]
    for lock in locks:
        lock.take()
    again = AccountLock("a", "sim", "here")
    with pytest.raises(AccountBusy):
        again.take()
    for lock in locks:
        lock.release()
    again.take()
    again.release()

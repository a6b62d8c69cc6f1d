"""Road 3 of the kill switch: a second process, when the daemon is stopped, dead or unreachable.

It latches through the state directory first (so that a daemon that comes back finds the latch),
then cancels at the venue with the same credentials over its own session, and polls until the venue
has no open order of ours.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from control.errors import ControlError
from daemon.errors import SeatrialError
from daemon.settings import Config, SettingsError, load_config
from daemon.shell.clock import SystemClock
from daemon.shell.credentials import load_credentials
from daemon.shell.emergency import EmergencyStop, KillReport
from daemon.shell.endpoints import endpoints_of
from daemon.shell.latch import LatchStore
from daemon.shell.state_dir import StateDirError, read_identity

DEADLINE_S = 30.0


def direct_kill(*, config: Path | None, by: str, uid: int, reason: str) -> Mapping[str, Any]:
    """Latch, cancel, verify, without any daemon. Returns what `DaemonPort.kill` returns.

    Raises:
        ControlError: with what, why, and what to do now.
    """
    if config is None:
        raise ControlError("kill --direct needs the daemon's configuration: add --config FILE")
    try:
        loaded = load_config(config)
        identity = read_identity(loaded.settings.state_dir)
        credentials = load_credentials(loaded.settings.credentials.file)
    except (SettingsError, StateDirError, SeatrialError) as error:
        raise ControlError(f"kill --direct: {error}") from error
    if identity is None:
        raise ControlError(
            f"kill --direct: {loaded.settings.state_dir} was never used: no order of ours exists"
        )
    clock = SystemClock()
    start = clock.monotonic_ns()
    LatchStore(loaded.settings.state_dir).latch(
        by_uid=uid, by_name=by, reason=reason, ts_ns=clock.now_ns()
    )
    latched_ms = (clock.monotonic_ns() - start) / 1e6
    report = asyncio.run(_cancel(loaded, identity[0], credentials, clock))
    empty_ms = (clock.monotonic_ns() - start) / 1e6
    return {
        "verified": report.verified_empty_ns is not None,
        "open_orders": report.remaining,
        "gate_ms": latched_ms,
        "latched_ms": latched_ms,
        "cancel_ms": None
        if report.last_cancel_ns is None
        else (report.last_cancel_ns - report.started_ns) / 1e6,
        "empty_ms": empty_ms if report.verified_empty_ns is not None else None,
        "canceled": report.canceled,
        "msg": "; ".join(report.errors),
    }


async def _cancel(
    config: Config, instance: str, credentials: Any, clock: SystemClock
) -> KillReport:
    venue = config.settings.venue
    stop = EmergencyStop(
        endpoints=endpoints_of(venue),
        credentials=credentials,
        symbols=venue.symbols,
        instance=instance,
        clock=clock,
    )
    try:
        return await stop.cancel_and_verify(deadline_s=DEADLINE_S)
    finally:
        await stop.close()

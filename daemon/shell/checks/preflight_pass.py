"""The pass that `seatrial preflight` leaves in the state directory, and that `start` asks for.

Rules of this file:
1. A testnet session starts only with a pass that is fresh, and bound to the configuration that the
   daemon runs on. What cannot be read is no pass.
2. A simulated venue needs none, and the answer says so, so that the record does.
3. It is signed by nothing: whoever may write the state directory may do worse. It keeps the tired
   from starting too early; it does not keep out the hostile.
"""

from pathlib import Path
from typing import Any

import msgspec
import orjson

from daemon.model.amounts import NS_PER_S

PASS_NAME = "preflight.json"  # noqa: S105 - a file's name
LIFE_NS_MAX = 24 * 3600 * NS_PER_S
"""No pass counts for longer, whatever it says of itself."""
CLOCK_SLACK_NS = 60 * NS_PER_S
"""Engine time does not step with the wall clock: so far may a pass seem to come from the future."""
BYTES_MAX = 1 << 20
_MEND = "run `seatrial preflight --config FILE`"


class StartPermit(msgspec.Struct, frozen=True):
    """Whether a session may start, and the sentence that is recorded with it."""

    allowed: bool
    msg: str
    code: str = "no_preflight"
    """The refusal's code, for scripts."""


def start_permit(
    state_dir: Path, *, environment: str, config_hash: str, now_ns: int
) -> StartPermit:
    """Look at the pass. Never raises: what cannot be read is no pass."""
    if environment == "sim":
        return StartPermit(allowed=True, msg="exempt: a simulated venue needs no preflight")
    path = state_dir / PASS_NAME
    try:
        with path.open("rb") as file:
            found = orjson.loads(file.read(BYTES_MAX))
    except FileNotFoundError:
        return _refused(f"no preflight was passed on this box ({path} is not there)")
    except (OSError, ValueError) as error:
        return _refused(f"{path} cannot be read ({type(error).__name__})")
    return _judged(found, environment, config_hash, now_ns)


def _judged(found: Any, environment: str, config_hash: str, now_ns: int) -> StartPermit:
    if not isinstance(found, dict) or found.get("passed") is not True:
        return _refused("the last preflight did not pass")
    bound = found.get("binding")
    bound = bound if isinstance(bound, dict) else {}
    if bound.get("environment") != environment:
        return _refused(f"the preflight was for {bound.get('environment')}, not for {environment}")
    if bound.get("config_hash") != config_hash:
        return _refused("the preflight was for another configuration than the daemon runs on")
    made_ns, expires_ns = found.get("made_ns"), found.get("expires_ns")
    if type(made_ns) is not int or type(expires_ns) is not int:
        return _refused("the preflight does not say when it was made")
    if made_ns > now_ns + CLOCK_SLACK_NS:
        return _refused("the preflight comes from the future: check the clock")
    if now_ns >= min(expires_ns, made_ns + LIFE_NS_MAX):
        return _refused(f"the preflight passed {_minutes(now_ns - made_ns)} min ago and is stale")
    return StartPermit(
        allowed=True, msg=f"passed {_minutes(now_ns - made_ns)} min ago for this configuration"
    )


def _minutes(span_ns: int) -> int:
    return max(0, span_ns) // (60 * NS_PER_S)


def _refused(why: str) -> StartPermit:
    return StartPermit(allowed=False, msg=f"{why}; {_MEND}")

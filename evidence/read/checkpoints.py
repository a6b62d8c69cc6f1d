"""Reads the tallies of a checkpoint, which the lines before it must give too."""

import msgspec


class CheckpointSession(msgspec.Struct, gc=False):
    """Tallies of the session, as the daemon keeps them."""

    orders: int = 0
    fills: int = 0
    denied: dict[str, int] = {}


class CheckpointIncident(msgspec.Struct, gc=False):
    """An incident that the daemon knows."""

    incident_id: str = ""


class CheckpointState(msgspec.Struct, gc=False):
    """The part of a checkpoint that is compared with the lines before it."""

    session: CheckpointSession | None = None
    incidents: list[CheckpointIncident] = []

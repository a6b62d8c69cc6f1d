"""What the accountant reads of a checkpoint: tallies that the lines before it must give as well."""

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
    """What of a checkpoint is held against the lines before it."""

    session: CheckpointSession | None = None
    incidents: list[CheckpointIncident] = []

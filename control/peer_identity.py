"""Maps a client's uid and groups, as the kernel states them (SO_PEERCRED), to a role.

A role is a rung: observer (look) < stopper (also stop) < operator (also start). Stopping is open to
more people than starting.
"""

import grp
import os
import pwd
import socket
import struct
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from control.control_errors import ControlConfigError

_UCRED = struct.Struct("iII")
_SO_PEERGROUPS = 59
"""Linux 4.13; Python 3.11 has no name for it."""
_PEERGROUPS_BYTES = 1_024
"""The most that Python's getsockopt takes: 256 groups."""
SERVICE_GROUP = "seatrial"


class Role(StrEnum):
    """What a person may do; each rung includes the ones below."""

    OBSERVER = "observer"
    STOPPER = "stopper"
    OPERATOR = "operator"

    @property
    def rank(self) -> int:
        """The role's rank, for comparison."""
        return _RANK[self]

    def covers(self, needed: "Role") -> bool:
        """Whether a holder of this role may do what needs `needed`."""
        return self.rank >= needed.rank


_RANK = {Role.OBSERVER: 0, Role.STOPPER: 1, Role.OPERATOR: 2}


class Members(msgspec.Struct, frozen=True):
    """The holders of a role: ids, or names that must exist on this machine."""

    uids: tuple[int, ...] = ()
    gids: tuple[int, ...] = ()
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def default_roles() -> Mapping[Role, Members]:
    """The service's own user, root, and the group `seatrial` where it exists: operators."""
    try:
        gids: tuple[int, ...] = (grp.getgrnam(SERVICE_GROUP).gr_gid,)
    except KeyError:
        gids = ()
    return {Role.OPERATOR: Members(uids=(0, os.getuid()), gids=gids)}


class ControlConfig(msgspec.Struct, frozen=True):
    """The control plane's settings; every bound is here.

    `roles` empty means `default_roles()`. `socket_group` (name) owns the socket where given.
    """

    socket_path: Path
    roles: Mapping[Role, Members] = msgspec.field(default_factory=dict)
    socket_group: str = ""
    clients_max: int = 64
    requests_in_flight_max: int = 8
    line_deadline_s: float = 5.0
    idle_deadline_s: float = 300.0
    write_deadline_s: float = 5.0
    output_bytes_max: int = 4 * 1024 * 1024
    stop_grace_s: float = 5.0
    kill_grace_s: float = 30.0


class Peer(msgspec.Struct, frozen=True):
    """The process at the other end when it connected, as the kernel recorded it."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int]


def peer_of(sock: socket.socket) -> Peer:
    """Ask the kernel who connected. Nothing that the client sends is used.

    Raises:
        OSError: when the peer is gone already.
    """
    pid, uid, gid = _UCRED.unpack(
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    )
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _PEERGROUPS_BYTES)
    except OSError:
        # A kernel before 4.13, or somebody with more than 256 groups: roles by uid and primary
        # group only. Less is granted then, never more.
        raw = b""
    groups = frozenset(struct.unpack(f"{len(raw) // 4}I", raw))
    return Peer(pid=pid, uid=uid, gid=gid, groups=groups | {gid})


class RoleTable:
    """The config's members resolved to numbers once, so that no look-up can stall a stop."""

    def __init__(self, roles: Mapping[Role, Members]) -> None:
        self._uids: dict[int, Role] = {}
        self._gids: dict[int, Role] = {}
        self._names: dict[int, str] = {}
        for role, members in sorted((roles or default_roles()).items(), key=lambda i: i[0].rank):
            for uid in (*members.uids, *(_uid_of(name, role) for name in members.users)):
                self._uids[uid] = role
                self._names[uid] = _name_of(uid)
            for gid in (*members.gids, *(_gid_of(name, role) for name in members.groups)):
                self._gids[gid] = role

    def role_of(self, peer: Peer) -> Role | None:
        """The highest role that the peer's uid or any of its groups holds; None: a stranger."""
        held = [self._gids[gid] for gid in peer.groups if gid in self._gids]
        if peer.uid in self._uids:
            held.append(self._uids[peer.uid])
        return max(held, key=lambda role: role.rank, default=None)

    def name_of(self, peer: Peer) -> str:
        """A name for the record: from start-up's look-ups only, else the number."""
        return self._names.get(peer.uid) or f"uid {peer.uid}"


def _uid_of(name: str, role: Role) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ControlConfigError(
            f"control.{role}s: there is no user {name!r} on this machine"
        ) from None


def _gid_of(name: str, role: Role) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ControlConfigError(
            f"control.{role}s: there is no group {name!r} on this machine"
        ) from None


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""

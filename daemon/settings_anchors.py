"""`[anchors]`: where the heads of the journal's chain go while the daemon runs."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from daemon.settings_base import Frozen, Milliseconds, Place

_SINK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_NEEDS: dict[str, frozenset[str]] = {
    "file": frozenset({"path"}),
    "webhook": frozenset({"url", "secret_file"}),
    "syslog": frozenset(),
    "witness": frozenset({"url", "key", "witness_key"}),
    "timestamp": frozenset({"url", "ca_file"}),
    "plugin": frozenset({"class_path"}),
}
_MAY_HAVE: dict[str, frozenset[str]] = {
    "webhook": frozenset({"ca_file"}),
    "syslog": frozenset({"path"}),
    "witness": frozenset({"ca_file", "tls_certificate", "tls_key"}),
    "plugin": frozenset({"params"}),
}
_OF_A_KIND = (
    "path", "url", "secret_file", "key", "witness_key", "ca_file", "tls_certificate", "tls_key",
    "class_path", "params",
)  # fmt: skip


def is_sink_name(text: str) -> bool:
    """Whether a sink may be called so."""
    return _SINK_NAME.fullmatch(text) is not None


class AnchorSinkSettings(Frozen):
    """`[anchors.sinks.NAME]`: one place outside of this box. Each kind has keys of its own."""

    kind: Literal["file", "webhook", "syslog", "witness", "timestamp", "plugin"]
    """`file`: appends to a file of another user. `webhook`: POSTs, signed by HMAC. `syslog`: the
    system's log. `witness`: another box that countersigns. `timestamp`: RFC 3161. `plugin`: a class
    of your own."""
    period_ms: Annotated[int, Field(ge=1_000, le=86_400_000)] = 60_000
    """The head of the chain goes there so often, and at once when a session or run ends. Time stamp
    authorities ask for an hour or more."""
    path: Place | None = None
    """`file`: the file, which must be there. `syslog`: the socket; unset: `/dev/log`."""
    url: str = ""
    """`webhook`, `witness`, `timestamp`: http(s) address."""
    secret_file: Place | None = None
    """`webhook`: the HMAC secret, mode 0600."""
    key: Place | None = None
    """`witness`: this box's private key (`seatrial evidence keygen`), one for each state directory;
    the witness has its public half."""
    witness_key: Place | None = None
    """`witness`: the witness's public key."""
    ca_file: Place | None = None
    """PEM. `timestamp`: the authority's root certificate. `webhook`, `witness`: the CA of an https
    address; unset: the system's."""
    tls_certificate: Place | None = None
    """`witness`: PEM, where it asks for a client certificate; with `tls_key`."""
    tls_key: Place | None = None
    """`witness`: PEM of that certificate's key, mode 0600."""
    class_path: Annotated[str, Field(alias="class")] = ""
    """`plugin`: `package.module:Class`, see [ANCHORS.md](ANCHORS.md#a-sink-of-your-own)."""
    params: dict[str, Any] = Field(default_factory=dict)
    """`plugin`: its constructor's arguments."""

    @model_validator(mode="after")
    def _keys_of_its_kind(self) -> "AnchorSinkSettings":
        given = {name for name in _OF_A_KIND if getattr(self, name)}
        needs, may = _NEEDS[self.kind], _MAY_HAVE.get(self.kind, frozenset())
        names = {"class_path": "class"}
        if missing := sorted(names.get(one, one) for one in needs - given):
            raise ValueError(f"a sink of kind {self.kind} needs {', '.join(missing)}; add it")
        if strange := sorted(names.get(one, one) for one in given - needs - may):
            raise ValueError(f"a sink of kind {self.kind} has no {', '.join(strange)}; remove it")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together; set both or neither")
        if self.url:
            parts = urlsplit(self.url)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
                raise ValueError(f"url: {self.url!r} is no address; write https://HOST:PORT/PATH")
            if self.kind == "witness" and (parts.path.strip("/") or parts.query):
                raise ValueError(f"url: {self.url!r}: of a witness write http(s)://HOST:PORT alone")
        return self


class AnchorSettings(Frozen):
    """`[anchors]`: heads of the chain, kept outside of this box as it runs ([how](ANCHORS.md))."""

    deadline_ms: Milliseconds = 10_000
    """One attempt at one sink may take so long; then it is tried again, ever later, up to five
    minutes apart. Orders never wait for it."""
    sinks: dict[str, AnchorSinkSettings] = Field(default_factory=dict)
    """Any number of sinks, by names of your own."""

    @model_validator(mode="after")
    def _names(self) -> "AnchorSettings":
        for name in self.sinks:
            if not is_sink_name(name):
                raise ValueError(f"sinks.{name}: a name is 1 to 32 of a-z, 0-9, - and _; rename it")
        return self

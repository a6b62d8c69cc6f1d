"""The simulated venue of a run: a process of its own, and its operator's calls."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from daemon.demo.processes import Process, ask_venue, fetch_ledger
from daemon.venues.sim.listed_symbols import SYMBOLS


class TrialVenue:
    """`seatrial sim` with a log of the wire, on loopback, with a state that outlives a restart."""

    def __init__(
        self, directory: Path, work: Path, *, seed: int, symbols: str, flow_rate: float
    ) -> None:
        """Its files go to `directory`; the private key of an Ed25519 pair to `work`."""
        self._log = directory / "venue.log"
        self._private_key = work / "ed25519.pem"
        public_key = directory / "ed25519.pub.pem"
        _make_keys(self._private_key, public_key)
        self._arguments = [
            "daemon.cli.sim_command", "--seed", str(seed), "--symbols", symbols,
            "--flow-rate", str(flow_rate), "--wire", "--state", str(directory / "venue"),
            # The real venue lists none, and public clients may know no name of them.
            "--no-exchange-filters", "--ed25519-public-key", str(public_key),
        ]  # fmt: skip
        self._process: Process | None = None
        self.ready: dict[str, Any] = {}

    def start(self) -> None:
        """Start it and read its ready line.

        Raises:
            DemoError: it ended at once, or said nothing.
        """
        self._process = Process("simulated venue", self._arguments, self._log)
        self.ready = self._process.read_json_line()

    def stop(self) -> None:
        """SIGTERM; SIGKILL when it does not listen."""
        process, self._process = self._process, None
        if process is not None:
            process.stop()

    def values(self, symbol: str) -> dict[str, str]:
        """What a bot needs to know."""
        ready = self.ready
        return {
            "rest": ready["rest"],
            "ws_api": ready["ws_api"],
            "streams": ready["streams"],
            "key": ready["api_key"],
            "secret": ready["api_secret"],
            "ed25519_key": ready["ed25519_api_key"],
            "ed25519_pem": str(self._private_key),
            "symbol": symbol,
            "pair": f"{SYMBOLS[symbol].base}/{SYMBOLS[symbol].quote}",
        }

    def ledger(self, since_ns: int = 0) -> dict[str, Any]:
        """The venue's books since then."""
        return fetch_ledger(self.ready["admin"], since_ns)

    def post(self, name: str, body: object) -> Any:
        """One call of the venue's operator."""
        return ask_venue(self.ready["admin"], name, body)

    def strike(self, kind: str, arguments: Mapping[str, Any]) -> None:
        """One fault, now."""
        self.post("strike", {"kind": kind, **arguments})


def _make_keys(private: Path, public: Path) -> None:
    """A throw-away pair; a venue of one run knows it, and nobody else."""
    key = Ed25519PrivateKey.generate()
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )

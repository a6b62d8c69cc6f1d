"""The simulated venue of a run: a process of its own, and its operator's calls."""

import json
import os
import select
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.shell.process.child_processes import end_with_parent
from daemon.venues.sim.listed_symbols import SYMBOLS

_START_S = 30.0
_STOP_S = 20.0
_CALL_S = 20.0


class VenueProcessError(RuntimeError):
    """The venue did not start or does not answer; the text says what it said."""


class TrialVenue:
    """`seatrial sim` with a log of the wire, on loopback, with a state that outlives a restart."""

    def __init__(
        self, directory: Path, work: Path, *, seed: int, symbols: str, flow_rate: float
    ) -> None:
        """Its files go to `directory`; the private key of an Ed25519 pair to `work`."""
        self._state = directory / "venue"
        self._log = directory / "venue.log"
        self._arguments = ["--seed", str(seed), "--symbols", symbols]
        self._arguments += ["--flow-rate", str(flow_rate), "--wire", "--state", str(self._state)]
        # The real venue lists none, and public clients may know no name of them.
        self._arguments += ["--no-exchange-filters"]
        self._private_key = work / "ed25519.pem"
        public_key = directory / "ed25519.pub.pem"
        _make_keys(self._private_key, public_key)
        self._arguments += ["--ed25519-public-key", str(public_key)]
        self._process: subprocess.Popen[str] | None = None
        self.ready: dict[str, Any] = {}

    def start(self) -> None:
        """Start it and read its ready line.

        Raises:
            VenueProcessError: it ended at once, or said nothing.
        """
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "daemon.cli.sim_command", *self._arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                text=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                preexec_fn=end_with_parent(),  # noqa: PLW1509 - one system call, no lock
            )
        out = self._process.stdout
        readable = [] if out is None else select.select([out], [], [], _START_S)[0]
        line = out.readline() if out is not None and readable else ""
        if not line:
            self.stop()
            raise VenueProcessError(f"the simulated venue did not start; see {self._log}")
        self.ready = json.loads(line)

    def stop(self) -> None:
        """SIGTERM; SIGKILL when it does not listen."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

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
        books: dict[str, Any] = self._call(f"ledger?since_ns={since_ns}", None)
        return books

    def post(self, name: str, body: object) -> Any:
        """One call of the venue's operator."""
        return self._call(name, body)

    def strike(self, kind: str, arguments: Mapping[str, Any]) -> None:
        """One fault, now."""
        self.post("strike", {"kind": kind, **arguments})

    def _call(self, name: str, body: object | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.ready['admin']}/{name}", data=data)  # noqa: S310 - loopback
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                request, timeout=_CALL_S
            ) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            raise VenueProcessError(f"POST /sim/{name}: {said}") from error
        except OSError as error:
            raise VenueProcessError(f"the venue does not answer {name}: {error}") from error


def _make_keys(private: Path, public: Path) -> None:
    """A throw-away pair; a venue of one run knows it, and nobody else."""
    key = Ed25519PrivateKey.generate()
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )

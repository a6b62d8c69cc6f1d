"""The simulated venue as a real process, for tests that want real sockets.

    with SimProcess(seed=7, faults="latency") as sim:
        sim.rest, sim.ws_api, sim.streams, sim.admin, sim.api_key, sim.api_secret
        sim.ledger()                      # GET /sim/ledger
        sim.admin_post("halt", symbol="BTCUSDT", seconds=2)

Options are those of `seatrial sim`, with underscores; True makes a bare flag.
"""

import hashlib
import hmac
import json
import os
import select
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO, Any, Self

from daemon.shell.process.clock import SystemClock
from tests.support.forked import ForkedProcess, start
from tests.support.priority import before_others

ROOT = Path(__file__).resolve().parents[2]
_READY_S = 60.0
_STOP_S = 60.0


class SimProcess:
    """Starts `seatrial sim`, waits for its ready line, stops it."""

    def __init__(self, **options: object) -> None:
        self._arguments: list[str] = []
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            self._arguments += [flag] if value is True else [flag, str(value)]
        self._process: ForkedProcess | subprocess.Popen[bytes] | None = None
        self._told: IO[str] | None = None
        self._errors: IO[str] | None = None
        self.ready: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start it and read the ready line; raises RuntimeError with its stderr when it fails."""
        # A file, not a pipe: nobody reads it while the venue runs, and a full pipe would stop it.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in stop()
        reading, writing = os.pipe()
        self._told = os.fdopen(reading)
        try:
            self._process = start("sim", self._arguments, stdout=writing, stderr=self._errors)
        finally:
            os.close(writing)
        before_others(self._process)
        readable, _, _ = select.select([self._told], [], [], _READY_S)
        line = self._told.readline() if readable else ""
        if not line:
            self._process.kill()
            self._process.wait()
            self._process = None
            errors = self.errors()
            self._told.close()
            self._errors.close()
            raise RuntimeError(f"the simulated venue did not start: {errors.strip()}")
        self.ready = json.loads(line)
        return self

    def stop(self) -> int:
        """SIGTERM, wait; the exit code."""
        process = self._process
        if process is None:
            return 0
        self._process = None
        process.terminate()
        try:
            return process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            for stream in (self._told, self._errors):
                if stream is not None:
                    stream.close()

    def errors(self) -> str:
        """What it has written to standard error so far."""
        if self._errors is None or self._errors.closed:
            return ""
        descriptor = self._errors.fileno()
        # Not read(): it would move the place at which the venue, which shares it, writes on.
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")

    @property
    def rest(self) -> str:
        return str(self.ready["rest"])

    @property
    def ws_api(self) -> str:
        return str(self.ready["ws_api"])

    @property
    def streams(self) -> str:
        return str(self.ready["streams"])

    @property
    def admin(self) -> str:
        return str(self.ready["admin"])

    @property
    def api_key(self) -> str:
        return str(self.ready["api_key"])

    @property
    def api_secret(self) -> str:
        return str(self.ready["api_secret"])

    def ledger(self, account: str = "") -> dict[str, Any]:
        """What reached the venue; of one account, where it is named."""
        return self._call(f"{self.admin}/ledger?account={account}", None)

    def admin_post(self, name: str, **params: object) -> dict[str, Any]:
        """One admin call."""
        return self._call(f"{self.admin}/{name}", params)

    def load_faults(self, rules: list[dict[str, object]]) -> dict[str, Any]:
        """Replace the fault script."""
        return self._call(f"{self.admin}/faults", rules)

    def signed(self, method: str, path: str, **params: object) -> Any:
        """One signed REST call, as another program with the same key would make it."""
        stamped = {**params, "timestamp": SystemClock().now_ns() // 1_000_000}
        query = urllib.parse.urlencode(stamped)
        digest = hmac.new(self.api_secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            f"{self.rest}/api/v3/{path}?{query}&signature={digest}",
            method=method,
            headers={"X-MBX-APIKEY": self.api_key},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()!r}") from error

    def ws_params(self, **params: object) -> dict[str, Any]:
        """Signed parameters of one WebSocket API call: sorted, raw, the key among them."""
        full = {**params, "apiKey": self.api_key, "timestamp": SystemClock().now_ns() // 1_000_000}
        text = "&".join(f"{name}={full[name]}" for name in sorted(full))
        digest = hmac.new(self.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return {**full, "signature": digest}

    @staticmethod
    def _call(url: str, body: object | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data)
        with urllib.request.urlopen(request, timeout=60) as answer:
            result: dict[str, Any] = json.load(answer)
        return result

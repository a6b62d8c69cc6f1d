"""A witness and a box with their keys in a folder, and heads of journals that the box shows it."""

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.model.witness_words import request_bytes
from evidence.read.signing import key_hex, load_private_key, load_public_key, make_key_pair
from evidence.read.witness_export import WitnessLine
from evidence.witness.witness_register import WitnessRegister, export_of

DEADLINE_S = 60


class Witnessed:
    """Keys of one box and one witness, and the witness's register.

    `witness_pem` is the key of a witness that is there already, of other boxes.
    """

    def __init__(self, folder: Path, witness_pem: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.register_dir = folder / "register"
        self.witness_pem, self.box_pem = witness_pem or folder / "witness.pem", folder / "box.pem"
        self.witness_pub = self.witness_pem.with_name("witness.pem.pub")
        self.box_pub = self.box_pem.with_name("box.pem.pub")
        for path in (self.witness_pem, self.box_pem):
            if not path.exists():
                make_key_pair(path)
        self.box_key = load_private_key(self.box_pem)
        self.box = key_hex(self.box_key.public_key())

    def register(self) -> WitnessRegister:
        boxes = [load_public_key(self.box_pub)]
        return WitnessRegister(self.register_dir, load_private_key(self.witness_pem), boxes)

    def asked(self, seq: int, head: str, key: Ed25519PrivateKey | None = None) -> str:
        """The box's signature over a request, in base64."""
        signed = (key or self.box_key).sign(request_bytes(self.box, seq, head))
        return base64.b64encode(signed).decode()

    def show(self, register: WitnessRegister, seq: int, head: str, now_ns: int = 1) -> WitnessLine:
        return register.countersign(self.box, seq, head, self.asked(seq, head), now_ns)

    def export(
        self, lines: list[bytes], numbers: Iterable[int], out: Path, *, late_ns: int = 0
    ) -> Path:
        """Show the heads of these lines (1: the first), each so late, and export them."""
        register = self.register()
        try:
            for number in numbers:
                record = json.loads(lines[number - 1])
                head = hashlib.sha256(lines[number - 1]).hexdigest()
                self.show(register, record["seq"], head, record["ts_ns"] + late_ns)
        finally:
            register.close()
        out.write_bytes(
            export_of(self.register_dir, self.box, load_private_key(self.witness_pem), 1, "")
        )
        return out


class WitnessProcess:
    """`seatrial witness serve` on a free port of loopback; up when it is made.

    `files_max` is how many files it may have open; 0: as many as we.
    """

    def __init__(self, witnessed: Witnessed, *options: str, files_max: int = 0) -> None:
        self._errors = witnessed.register_dir.with_name("witness.err")
        limit = ("prlimit", f"--nofile={files_max}") if files_max else ()
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [
                    *(*limit, sys.executable, "-m", "control.main", "witness", "serve"),
                    *("--state", str(witnessed.register_dir), "--key", str(witnessed.witness_pem)),
                    *("--box", str(witnessed.box_pub), "--listen", "127.0.0.1:0"),
                    *options,
                ],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert " serves on " in line, line
        self.address = line.split()[-1]

    def end(self, number: int) -> int:
        """Send it a signal, and wait for its end; its exit code, again when it has ended."""
        self.process.send_signal(number)
        code = self.process.wait(DEADLINE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def errors(self) -> str:
        """What it has written to stderr."""
        return self._errors.read_text()

"""Runs one client that has an environment of its own through the gateway; prints JSON.

python tests/clients/session_gateway_heavy.py nautilus|hummingbot
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from evidence.read.signing import public_pem
from tests.support import loopback_only
from tests.support.bot_box import BotBox
from tests.support.gateway_session import venue_order
from tests.trials.subjects_run import ROOT, SUBJECTS, interpreter

DEADLINE_S = 150


def signer(client: str) -> tuple[str, str]:
    """(private, public) PEM of an Ed25519 key where the client needs one; else nothing."""
    if client != "nautilus":
        return "", ""
    private = Ed25519PrivateKey.generate()
    text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode(), public_pem(private.public_key()).decode()


def run_client(client: str, box: BotBox, secret: str) -> dict[str, Any]:
    """What the client's own script told, in the client's own environment."""
    keys = box.keys["ft"]
    told = {
        "SNIPPET": box.snippet(client),
        "BOT_API_KEY": keys.api_key,
        "BOT_API_SECRET": secret or keys.secret,
        "SIM_ADMIN": box.sim.admin,
    }
    (subject,) = [one for one in SUBJECTS if one.name == client]
    done = subprocess.run(
        [str(ROOT / interpreter(subject)), str(ROOT / f"tests/clients/heavy/run_{client}.py")],
        env=os.environ | told,
        cwd=box.directory,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{client}: {done.stderr[-4000:]} {done.stdout[-2000:]}")
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def main(client: str) -> None:
    isolated = loopback_only.enter()
    secret, public = signer(client)
    # Nautilus knows no filter of the whole exchange; the venue lists none today.
    sim = {"flow_rate": 60, "no_exchange_filters": True}
    with (
        tempfile.TemporaryDirectory() as directory,
        BotBox(Path(directory), sim=sim, public_pem=public) as box,
    ):
        facts: dict[str, Any] = {"isolated": isolated, "client": run_client(client, box, secret)}
        facts["reaches_outside"] = loopback_only.reaches_outside()
        facts["ledger"] = box.sim.ledger()
        facts["ids"] = {
            line["client_order_id"]: line["owner"]["client_order_id"]
            for line in box.journal("order_approved")
        }
        facts["denied"] = {
            line["owner"]["client_order_id"]: line["deny_reason"]
            for line in box.journal("order_denied")
        }
        facts["venue"] = {
            facts["ids"][row["client_order_id"]]: venue_order(box, row["order_id"])
            for row in facts["ledger"]["orders"]
            if row["client_order_id"] in facts["ids"]
        }
        print(json.dumps(facts, default=str))


if __name__ == "__main__":
    main(sys.argv[1])

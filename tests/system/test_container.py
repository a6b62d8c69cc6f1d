"""Container files: linted, and what they promise about users, roots and networks."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.machines import debian_tar, needs

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()


def compose() -> dict[str, Any]:
    """compose.yaml as a mapping, read by the system's PyYAML (not one of our dependencies)."""
    read = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"
    done = subprocess.run(
        ["/usr/bin/python3", "-c", read, str(DEPLOY / "compose.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named 'yaml'" in done.stderr:
        pytest.skip("the system's python3 has no yaml (Debian: python3-yaml)")
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_is_content() -> None:
    done = subprocess.run(
        ["hadolint", str(DEPLOY / "Containerfile")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_image_is_not_root_and_says_how_it_is() -> None:
    final = CONTAINERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", final, flags=re.MULTILINE)
    assert "HEALTHCHECK" in final
    assert "/healthz" in final
    assert not re.search(r"\b(curl|wget|apt-get|ADD)\b", CONTAINERFILE), "the build is offline"
    assert not re.search(r"(api_key|secret)", CONTAINERFILE, flags=re.IGNORECASE)


def test_compose_gives_each_container_as_little_as_it_needs() -> None:
    services = compose()["services"]
    assert set(services) == {"network", "seatriald", "prometheus", "alertmanager", "grafana"}
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert name == "grafana" or service["read_only"] is True, name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name} listens beyond this machine"
    assert services["seatriald"]["restart"].startswith("on-failure")
    assert "seatrial start" not in json.dumps(services)
    held = [name for name, one in services.items() if "ports" in one]
    assert held == ["network"], "a daemon that restarts must not take the network with it"


def test_what_compose_mounts_is_there() -> None:
    for service in compose()["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("./") and not source.startswith("./compose/"):
                assert (DEPLOY / source).exists(), source


@pytest.mark.system
@pytest.mark.system_long
@pytest.mark.timeout(600)
@needs("buildah", "mmdebstrap", root=True)
def test_the_image_builds_offline_and_its_daemon_runs_as_nobody(tmp_path: Path) -> None:
    storage = tmp_path / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "vfs"\nrunroot = "{tmp_path}/run"\ngraphroot = "{tmp_path}/graph"\n'
    )
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    env = os.environ | {
        "COMMIT": head,
        "CONTAINERS_STORAGE_CONF": str(storage),
        "BUILDAH_ISOLATION": "chroot",
        "BUILDER": "buildah",
        "BUILDER_ARGS": "--isolation chroot --pull-never",
        "BASE": "localhost/base:test",
    }

    def buildah(*arguments: str) -> str:
        done = subprocess.run(
            ["buildah", *arguments], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    base = buildah("from", "scratch")
    buildah("add", "--quiet", base, str(debian_tar("python")), "/")
    buildah("commit", "--quiet", "--rm", base, "localhost/base:test")
    done = subprocess.run(
        [str(DEPLOY / "build-image.sh"), "localhost/seatrial:test"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = json.loads(buildah("inspect", "--type", "image", "localhost/seatrial:test"))
    config = made["Docker"]["config"]
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    container = buildah("from", "localhost/seatrial:test")
    said = buildah("run", "--user", "10001:10001", container, "--", "seatriald", "--version")
    assert head[:12] in said
    rows = json.loads(buildah("images", "--json"))
    sizes = {name: row["size"] for row in rows for name in row["names"] or ()}
    print(f"image sizes: {sizes}")
    shutil.rmtree(tmp_path / "graph")  # half a gigabyte that nobody looks at again

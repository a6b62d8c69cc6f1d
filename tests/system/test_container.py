"""Container files: linted, and what they promise about users, roots and networks."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.machines import debian_tar, head, needs

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()


def tool(name: str) -> str | None:
    """A program of this environment, or of the machine."""
    return shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def apply(marks: list[pytest.MarkDecorator]) -> Callable[..., Any]:
    """Several marks at once."""

    def mark(test: Any) -> Any:
        for one in marks:
            test = one(test)
        return test

    return mark


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


@pytest.mark.skipif(tool("hadolint") is None, reason="needs hadolint (make test-system brings it)")
def test_hadolint_is_content() -> None:
    done = subprocess.run(
        [str(tool("hadolint")), str(DEPLOY / "Containerfile")],
        capture_output=True,
        text=True,
        check=False,
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


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """buildah with a storage of its own, without an engine, without a network."""
    place = tmp_path_factory.mktemp("storage")
    storage = place / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "vfs"\nrunroot = "{place}/run"\ngraphroot = "{place}/graph"\n'
    )
    env = os.environ | {
        "COMMIT": head(),
        "CONTAINERS_STORAGE_CONF": str(storage),
        "BUILDAH_ISOLATION": "chroot",
        "BUILDER": "buildah",
        "BUILDER_ARGS": "--isolation chroot --pull-never",
        "BASE": "localhost/base:test",
    }

    def run(*command: str) -> str:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    base = run("buildah", "from", "scratch")
    run("buildah", "add", "--quiet", base, str(debian_tar("python")), "/")
    run("buildah", "commit", "--quiet", "--rm", base, "localhost/base:test")
    run(str(DEPLOY / "build-image.sh"), "localhost/seatrial:test")
    yield run
    run("buildah", "rm", "--all")
    shutil.rmtree(place / "graph")  # half a gigabyte that nobody looks at again


def image_config(buildah: Callable[..., str]) -> dict[str, Any]:
    made = json.loads(buildah("buildah", "inspect", "--type", "image", "localhost/seatrial:test"))
    config: dict[str, Any] = made["Docker"]["config"]
    return config


long = [
    pytest.mark.system,
    pytest.mark.system_long,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("image"),
    needs("buildah", "mmdebstrap", root=True),
]


@apply(long)
def test_the_image_builds_offline_and_says_what_is_in_it(buildah: Callable[..., str]) -> None:
    config = image_config(buildah)
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["Labels"]["org.opencontainers.image.revision"] == head()
    container = buildah("buildah", "from", "localhost/seatrial:test")
    said = buildah(
        "buildah", "run", "--user", "10001:10001", container, "--", "seatriald", "--version"
    )
    assert head()[:12] in said
    rows = json.loads(buildah("buildah", "images", "--json"))
    sizes = {name: row["size"] for row in rows for name in row["names"] or ()}
    print(f"image sizes: {sizes}")


@apply(long)
@needs("unshare", "setpriv", "ip")
def test_the_images_own_command_trades_as_nobody_on_a_read_only_root(
    buildah: Callable[..., str], tmp_path: Path
) -> None:
    config = image_config(buildah)
    container = buildah("buildah", "from", "localhost/seatrial:test")
    rootfs = buildah("buildah", "mount", container)
    said = buildah(
        str(ROOT / "tests/system/run_image.sh"), rootfs, str(tmp_path),
        config["User"].partition(":")[0], json.dumps(config["Healthcheck"]["Test"]), "--",
        *config["Entrypoint"], *config["Cmd"],
    )  # fmt: skip
    facts = dict(line.partition("=")[::2] for line in said.splitlines())
    print(facts)
    assert float(facts.pop("healthy_s")) < 30, "the start period of its health check"
    assert int(facts.pop("open_before")) > 0
    assert int(facts.pop("journal_lines")) > 20
    assert facts == {
        "state": "HALTED",
        "uid": "10001",
        "capabilities": "0000000000000000",
        "no_new_privs": "1",
        "exit": "0",
        "open_after": "0",
    }, "it boots halted, may write nowhere else, and ends in order"

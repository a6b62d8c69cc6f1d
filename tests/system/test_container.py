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

from tests.support.machines import CACHE, debian_tar, head, needs

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


def fetched_compose() -> Path:
    """Docker Compose's own program; the test is skipped where it cannot be had."""
    program = CACHE / "docker-compose"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [str(ROOT / "tests/system/fetch_compose.sh"), str(program)],
            env=os.environ | {"PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        if done.returncode != 0:
            pytest.skip(f"docker-compose cannot be fetched: {done.stderr.strip()[-200:]}")
    return program


@pytest.mark.system
@pytest.mark.system_long
@needs("setpriv", "unshare", root=True)
def test_docker_composes_own_loader_takes_the_file(tmp_path: Path) -> None:
    """No engine runs here: this is what `docker compose config` says, and no more."""
    program = shutil.copy(fetched_compose(), tmp_path / "docker-compose")
    shutil.copy(DEPLOY / "compose.yaml", tmp_path)
    for place in (tmp_path, *tmp_path.parents):
        if str(place).startswith("/tmp/"):
            place.chmod(place.stat().st_mode | 0o055)  # nobody reads it
    done = subprocess.run(
        ["unshare", "--net", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
         "--no-new-privs", str(program), "-f", str(tmp_path / "compose.yaml"), "config",
         "--format", "json"],
        cwd=tmp_path, env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr.strip(), done.stderr
    services = json.loads(done.stdout)["services"]
    assert set(services) == set(compose()["services"])
    for name, service in services.items():
        if name == "network":
            assert service["healthcheck"]["disable"] is True
            continue
        assert service["network_mode"] == "service:network"
        assert service["depends_on"]["network"]["condition"] == "service_started"
    assert services["seatriald"]["mem_limit"] == str(512 * 1024 * 1024)


def test_what_compose_names_is_what_the_others_use() -> None:
    """Places, ports and commands, against the files and programs that they are about."""
    services = compose()["services"]
    (config,) = re.findall(r'CMD \["--config", "(\S+)"\]', CONTAINERFILE)
    assert f"./compose/seatrial.toml:{config}:ro" in services["seatriald"]["volumes"]
    assert services["network"]["entrypoint"][0] == "sleep"
    assert services["seatriald"]["environment"]["CREDENTIALS_DIRECTORY"] == "/run/secrets"
    state = re.findall(r"^VOLUME \[\"(\S+)\"\]", CONTAINERFILE, flags=re.MULTILINE)
    assert f"state:{state[0]}" in services["seatriald"]["volumes"]
    inner = {port.rpartition(":")[2] for port in services["network"]["ports"]}
    assert inner == {"3000", "9090"}, "Grafana's own port, and what Prometheus is told"
    for name, place in (("prometheus", "prometheus"), ("alertmanager", "alertmanager")):
        words = dict(word.partition("=")[::2] for word in services[name]["command"])
        file = Path(words["--config.file"])
        assert f"./{place}:{file.parent}:ro" in services[name]["volumes"]
        assert (DEPLOY / place / file.name).is_file()
        program = shutil.which("prometheus" if name == "prometheus" else "prometheus-alertmanager")
        if program is not None:
            told = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
            for word in words:
                assert f"{word}=" in told.stdout + told.stderr, f"{name} knows no {word}"
    scraped = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    assert '"127.0.0.1:9464"' in scraped
    assert "127.0.0.1:9464/healthz" in CONTAINERFILE
    assert "127.0.0.1:9093" in scraped
    assert "--web.listen-address=127.0.0.1:9093" in services["alertmanager"]["command"]
    assert "--web.listen-address=0.0.0.0:9090" in services["prometheus"]["command"]
    source = (DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text()
    assert "127.0.0.1:9090" in source


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
    for program in ("seatriald", "seatrial"):
        said = buildah(
            "buildah", "run", "--user", "10001:10001", container, "--", program, "--version"
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

"""Wheel, source archive, .deb, install.sh: the same bytes each time, a whole life in a chroot."""

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.machines import head, needs, newer, package, unpack

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SHELL_SCRIPTS = sorted(DEPLOY.glob("*.sh"))

needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
long = pytest.mark.system_long
pytestmark = pytest.mark.system


def build(script: str, target: Path, **environment: str) -> str:
    """Run one build script at a fixed commit; what it said."""
    done = subprocess.run(
        [str(DEPLOY / script), str(target)],
        env=os.environ | {"COMMIT": head()} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sums(directory: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()
    }


@contextmanager
def chroot(machine: Path) -> Iterator[Path]:
    """A machine with the file systems that package scripts expect."""
    subprocess.run(["mount", "-t", "proc", "proc", str(machine / "proc")], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(machine / "run")], check=True)
    try:
        yield machine
    finally:
        for place in ("run", "proc"):
            subprocess.run(["umount", "--lazy", str(machine / place)], check=True)


def inside(machine: Path, *command: str, fine: bool = True) -> str:
    """Run in the chroot, offline; what it said."""
    done = subprocess.run(
        ["unshare", "--net", "chroot", str(machine), *command],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert not fine or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_every_script_parses_stops_at_errors_and_is_executable(script: Path) -> None:
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "set -euo pipefail" in script.read_text()
    assert os.access(script, os.X_OK)


def test_the_package_enables_nothing_and_starts_only_what_ran() -> None:
    scripts = "".join((DEPLOY / "debian" / n).read_text() for n in ("postinst", "prerm", "postrm"))
    assert not re.search(r"systemctl (enable|preset|start --now)|deb-systemd", scripts)
    assert not re.search(r"seatrial (start|re-arm)\b", scripts)
    started = re.findall(r"systemctl start (.+)", scripts)
    assert started == ['--no-block "$unit" || true', "$cancels || true"]
    after = (DEPLOY / "debian" / "postinst").read_text().partition("systemctl start")[0]
    assert "seatrial.upgrade" in after, "only what the upgrade stopped"
    cancels = (DEPLOY / "debian" / "prerm").read_text().partition("systemctl start $cancels")[0]
    assert "cancels=$(running 'seatrial-cancel@*.service' 'seatrial-failure@*.service')" in cancels


@needs_git
def test_wheel_and_source_archive_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    build("build-dist.sh", tmp_path / "one")
    build("build-dist.sh", tmp_path / "two")
    assert sums(tmp_path / "one") == sums(tmp_path / "two")
    wheel = next((tmp_path / "one").glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("daemon/COMMIT").decode().strip() == head()
        names = archive.namelist()
    for needed in ("daemon/py.typed", "daemon/demo/caps/demo.toml", "control/main.py"):
        assert needed in names
    assert not [name for name in names if name.startswith(("tests/", "deploy/", "build/"))]


@long
@needs_git
@needs("dpkg-deb", "mmdebstrap", "unshare", root=True)
@pytest.mark.timeout(600)
def test_the_life_of_a_deb(tmp_path: Path) -> None:
    deb = package()
    said = build("build-deb.sh", tmp_path / "again", STAGED="")  # from nothing but the wheels
    print(f"deb: {said.strip()}")
    assert sums(deb.parent) == sums(tmp_path / "again"), "not reproducible"
    machine = unpack("systemd", tmp_path / "machine")
    shutil.copy(deb, machine / "old.deb")
    newer(deb, tmp_path / "tree", machine / "new.deb", "0.9.9")
    with chroot(machine):
        check_install(machine, "/old.deb")
        preset = machine / "etc/seatrial/caps/tiny.toml"
        preset.write_text(preset.read_text() + "# mine\n")
        state = machine / "var/lib/seatrial/demo/kill-latch"
        state.mkdir(parents=True)
        (state / "entry.json").write_text("{}")
        inside(machine, "dpkg", "-i", "--force-confold", "/new.deb")
        assert preset.read_text().endswith("# mine\n"), "a changed conffile must survive"
        assert (state / "entry.json").exists(), "the latch must survive an upgrade"
        check_remove_and_purge(machine, preset, state)


def check_install(machine: Path, deb: str) -> None:
    inside(machine, "dpkg", "-i", deb)
    for program in ("seatriald", "seatrial"):
        assert head()[:12] in inside(machine, program, "--version")
    check_man_pages(machine, inside(machine, "seatrial", "--help"))
    for group in ("seatrial", "seatrial-stop", "seatrial-operate"):
        inside(machine, "getent", "group", group)
    places = inside(machine, "stat", "-c", "%U:%G %a", "/etc/seatrial", "/var/lib/seatrial")
    assert places.split("\n")[:2] == ["root:seatrial 750", "seatrial:seatrial 750"]
    assert not list((machine / "etc/systemd/system").rglob("*seatrial*")), "something is enabled"
    units = sorted(path.name for path in (machine / "lib/systemd/system").glob("seatrial*.service"))
    for unit in units:
        path = machine / "lib/systemd/system" / unit
        (path.with_name(unit.replace("@.", "@demo."))).symlink_to(unit)
    demo = [f"/lib/systemd/system/{unit.replace('@.', '@demo.')}" for unit in units]
    verdict = inside(
        machine, "systemd-analyze", "verify", "--recursive-errors=yes", "--man=no", *demo
    )
    assert not [line for line in verdict.splitlines() if "seatrial" in line], verdict
    for path in demo:
        (machine / path.removeprefix("/")).unlink()
    assert not inside(machine, "dpkg", "--verify", "seatrial").strip()
    check_bill(machine / "usr/share/doc/seatrial/sbom.cdx.json")


def check_man_pages(machine: Path, told: str) -> None:
    """The page has every command that the tool's own help has."""
    page = gzip.decompress((machine / "usr/share/man/man1/seatrial.1.gz").read_bytes()).decode()
    plain = page.replace("\\-", "-")
    listed = told.partition("Commands:\n")[2].partition("\n\n")[0]
    commands = re.findall(r"^  ([a-z][a-z-]+) ", listed, flags=re.MULTILINE)
    assert len(commands) > 20
    missing = [command for command in commands if not re.search(rf"\b{command}\b", plain)]
    assert not missing
    assert (machine / "usr/share/man/man1/seatriald.1.gz").exists()


def check_bill(path: Path) -> None:
    bill = json.loads(path.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    parts = {part["name"]: part for part in bill["components"]}
    locked = re.findall(
        r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE
    )
    wanted = {name: version for name, version in locked if name not in {"setuptools", "wheel"}}
    assert {name: part["version"] for name, part in parts.items()} == wanted
    unknown = [n for n, p in parts.items() if p["licenses"][0].get("license", {}).get("name")]
    assert not unknown, f"no SPDX licence known for {unknown}"
    assert all(part["hashes"] for part in parts.values())
    known = {part["bom-ref"] for part in (*parts.values(), bill["metadata"]["component"])}
    for row in bill["dependencies"]:
        assert {row["ref"], *row["dependsOn"]} <= known


def check_remove_and_purge(machine: Path, preset: Path, state: Path) -> None:
    inside(machine, "dpkg", "--remove", "seatrial")
    assert not (machine / "opt/seatrial").exists()
    assert preset.exists(), "removing keeps the configuration"
    said = inside(machine, "dpkg", "--purge", "seatrial")
    assert not (machine / "etc/seatrial").exists()
    assert (state / "entry.json").exists(), "journals and latches are evidence"
    assert "by hand" in said
    left = [
        path
        for path in (*machine.glob("usr/**/*seatrial*"), *machine.glob("lib/systemd/**/*seatrial*"))
        if "sysusers" not in str(path)
    ]
    assert not left


@long
@needs_git
@needs("lintian", "dpkg-deb")
@pytest.mark.timeout(300)
def test_lintian_is_quiet() -> None:
    deb = package()
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on=error,warning", str(deb)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert not done.stdout.strip()


@long
@needs_git
@needs("strip", root=True)
@pytest.mark.timeout(600)
def test_install_sh_shows_first_installs_twice_and_leaves_only_what_is_yours(
    tmp_path: Path,
) -> None:
    machine = tmp_path / "machine"
    machine.mkdir()

    def install(*options: str) -> str:
        done = subprocess.run(
            [str(DEPLOY / "install.sh"), *options, "--root", str(machine)],
            env=os.environ | {"COMMIT": head()},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "/lib/systemd/system/seatriald@.service" in install("--dry-run")
    assert not list(machine.iterdir()), "a dry run changes nothing"
    assert "installed" in install()
    assert "nothing to do" in install()
    mine = machine / "etc/seatrial/caps/tiny.toml"
    mine.write_text("# mine\n")
    manifest = machine / "opt/seatrial/MANIFEST"
    gone = machine / "opt/seatrial/lib/of-an-older-version"
    gone.write_text("")
    manifest.write_text(manifest.read_text() + "0  opt/seatrial/lib/of-an-older-version\n")
    said = install()
    assert "kept" in said
    assert mine.read_text() == "# mine\n"
    assert mine.with_name("tiny.toml.new").exists()
    assert not gone.exists(), "files of the older version go"
    state = machine / "var/lib/seatrial/demo"
    state.mkdir(parents=True)
    install("--uninstall")
    left = {str(path.relative_to(machine)) for path in machine.rglob("*") if path.is_file()}
    assert left == {"etc/seatrial/caps/tiny.toml", "etc/seatrial/caps/tiny.toml.new"}
    assert state.is_dir()
    assert not (machine / "opt/seatrial").exists()

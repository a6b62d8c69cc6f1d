"""The start-up check finds whoever else could answer to our import names."""

import os
import subprocess
import venv
from pathlib import Path

import pytest

from daemon.ownership import IMPORT_NAMES, check_import_ownership


def build_home(root: Path) -> Path:
    for name in IMPORT_NAMES:
        (root / name).mkdir(parents=True)
        (root / name / "__init__.py").write_text('"""A package."""\n')
    return root


def install(site: Path, name: str, *, top_level: str = "", record: str = "") -> None:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if top_level:
        (info / "top_level.txt").write_text(top_level)
    if record:
        (info / "RECORD").write_text(record)


def check(home: Path, *entries: Path) -> list[str]:
    return check_import_ownership(home=home, search_path=[str(home), *map(str, entries)])


def test_a_clean_environment_has_no_problem(tmp_path: Path) -> None:
    home = build_home(tmp_path / "home")
    site = tmp_path / "site"
    install(site, "rich", top_level="rich\n")
    install(site, "seatrial", top_level="control\ndaemon\nevidence\nriskcaps\n")
    assert check(home, site) == []


def test_this_environment_has_no_problem() -> None:
    assert check_import_ownership() == []


@pytest.mark.parametrize("shape", ["control/__init__.py", "control.py"])
def test_a_foreign_module_on_the_path_is_named_with_the_mend(tmp_path: Path, shape: str) -> None:
    home = build_home(tmp_path / "home")
    intruder = tmp_path / "elsewhere" / shape
    intruder.parent.mkdir(parents=True)
    intruder.write_text("")
    (problem,) = check(home, tmp_path / "elsewhere")
    assert str(intruder) in problem
    assert "'control'" in problem
    assert "remove it" in problem


@pytest.mark.parametrize(
    "metadata", [{"top_level": "daemon\n"}, {"record": "daemon/__init__.py,,\ndaemon/x.py,,\n"}]
)
def test_a_foreign_distribution_is_named_even_when_its_files_lie_among_ours(
    tmp_path: Path, metadata: dict[str, str]
) -> None:
    home = build_home(tmp_path / "home")
    site = tmp_path / "site"
    install(site, "python-daemon", **metadata)
    (problem,) = check(home, site)
    assert "'python-daemon'" in problem
    assert "pip uninstall python-daemon" in problem


def test_a_missing_package_of_ours_is_a_problem(tmp_path: Path) -> None:
    home = build_home(tmp_path / "home")
    (home / "riskcaps" / "__init__.py").unlink()
    (problem,) = check(home)
    assert "'riskcaps'" in problem
    assert "reinstall" in problem


def test_an_unreadable_or_absent_path_entry_is_passed_over(tmp_path: Path) -> None:
    home = build_home(tmp_path / "home")
    assert check(home, tmp_path / "not-there", tmp_path / "archive.zip") == []


@pytest.mark.parametrize("library", ["importlib.metadata", "importlib_metadata"])
def test_a_broken_distribution_does_not_stop_the_check(tmp_path: Path, library: str) -> None:
    """Nor when the backport, which answers otherwise, is what somebody has imported."""
    home = build_home(tmp_path / "home")
    (tmp_path / "site" / "broken-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "broken-1.0.dist-info" / "METADATA").write_text("")
    found = pytest.importorskip(library).distributions(path=[str(tmp_path / "site")])
    assert check_import_ownership(home=home, search_path=[str(home)], installed=found) == []


def test_in_a_real_environment_a_foreign_control_is_found(tmp_path: Path) -> None:
    """A virtual environment with a foreign `control` installed, asked through our own code."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    site = next((tmp_path / "env" / "lib").glob("python3.*")) / "site-packages"
    (site / "control").mkdir()
    (site / "control" / "__init__.py").write_text("")
    install(site, "control", top_level="control\n")
    root = Path(__file__).resolve().parents[3]
    answer = subprocess.run(
        [
            str(python),
            "-c",
            "from daemon.ownership import check_import_ownership as c; print(*c(), sep='\\n')",
        ],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "pip uninstall control" in answer.stdout
    assert str(site / "control") in answer.stdout

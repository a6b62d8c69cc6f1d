"""Version, commit and digest of a run, held against distribution, repository and each other."""

import subprocess
from pathlib import Path

import pytest

from evidence.read.build_digest import TOPS, Build, code_digest, committed, contradiction


def git(root: Path, *args: str) -> str:
    named = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", str(root), *named, *args], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for top in TOPS:
        (tmp_path / top / "inner").mkdir(parents=True)
        (tmp_path / top / "inner" / "module.py").write_text(f"# {top}\n")
        (tmp_path / top / "inner.py").write_text("")  # sorts otherwise as a path than as a text
    (tmp_path / "daemon" / "data.json").write_text("{}")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_the_repository_gives_the_digest_of_a_commit(repository: Path) -> None:
    commit, code = git(repository, "rev-parse", "HEAD"), code_digest(repository)
    assert committed(commit, repository) == Build("", commit, code)
    (repository / "daemon" / "inner.py").write_text("changed = True\n")
    assert code_digest(repository) != code
    found = committed(commit, repository)
    assert found is not None
    assert found.code == code, "of the commit, not of what lies there now"


@pytest.mark.parametrize("commit", ["", "unknown", "0" * 40, "HEAD", "--output=x", "c0ffee"])
def test_what_the_repository_does_not_know_is_not_decided(repository: Path, commit: str) -> None:
    assert committed(commit, repository) is None


def test_without_a_repository_nothing_is_decided(tmp_path: Path) -> None:
    assert committed("c0ffee1", tmp_path) is None


def test_two_runs_of_one_record_contradict_each_other() -> None:
    run = Build("1.0", "aaaaaaa", "c1")
    assert contradiction(run, run) == ""
    assert "version 1.0" in contradiction(run, Build("2.0", "aaaaaaa", "c1"))
    assert "commit aaaaaaa" in contradiction(run, Build("1.0", "bbbbbbb", "c1"))
    assert "another digest" in contradiction(run, Build("1.0", "aaaaaaa", "c2"))
    for here in (Build("2.0", "bbbbbbb", "c2"), Build("2.0", "bbbbbbb", "")):
        assert contradiction(run, here) == "", "an upgrade, or an older daemon's record"
    unknown = Build("1.0", "unknown", "c1")
    assert contradiction(unknown, Build("1.0", "unknown", "c2")) == ""

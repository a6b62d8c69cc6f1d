"""The commit is bound into every session: it is what git says, however the tree was checked out."""

import subprocess
from pathlib import Path

from daemon.version import commit


def git(where: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=where, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def repository(path: Path) -> Path:
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch", "main")
    git(path, "commit", "--quiet", "--allow-empty", "--message", "one")
    return path


def test_a_clone_a_detached_head_and_packed_refs(tmp_path: Path) -> None:
    home = repository(tmp_path / "clone")
    told = git(home, "rev-parse", "HEAD")
    assert commit(home) == told
    git(home, "pack-refs", "--all")
    assert commit(home) == told
    git(home, "checkout", "--quiet", "--detach")
    assert commit(home) == told


def test_a_linked_worktree_has_a_head_of_its_own(tmp_path: Path) -> None:
    home = repository(tmp_path / "clone")
    other = tmp_path / "worktree"
    git(home, "worktree", "add", "--quiet", "-b", "other", str(other))
    git(other, "commit", "--quiet", "--allow-empty", "--message", "two")
    assert commit(other) == git(other, "rev-parse", "HEAD") != commit(home)
    git(home, "pack-refs", "--all")
    assert commit(other) == git(other, "rev-parse", "HEAD")


def test_a_package_says_what_it_was_made_from_and_anything_else_is_unknown(tmp_path: Path) -> None:
    assert commit(tmp_path) == "unknown"
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    assert commit(tmp_path) == "unknown"
    (tmp_path / "daemon").mkdir()
    (tmp_path / "daemon" / "COMMIT").write_text("0123abc\n")
    assert commit(tmp_path) == "0123abc"

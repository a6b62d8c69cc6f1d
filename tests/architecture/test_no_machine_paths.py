"""Nothing of the machine it was written on stands in the repository."""

import re

import pytest

from tests.architecture.tree import files, listing, text_of

HERE = "tests/architecture/test_no_machine_paths.py"
FORBIDDEN = {
    "a path of the build machine": re.compile(
        r"(?<![\w.$}~*/-])/(work|workspace)/|(?<![\w.$}~*/-])/(root|home)/[\w.]"
        r"|/tmp/(bash_jobs|brief)"
    ),
    "a package registry": re.compile(
        r"https?://[^\s\"')]*(/simple\b|pythonhosted\.org|artifactory|/nexus/|/pypi/)"
        r"|https?://(test\.)?pypi\.org/simple"
    ),
    "a secret": re.compile(r"-----BEGIN (EC |RSA )?PRIVATE KEY-----\n[A-Za-z0-9+/]{40}"),
}


def machine_problems(name: str, text: str) -> list[str]:
    """Lines of one file that only make sense on one machine."""
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match[0]!r}"
        for what, pattern in FORBIDDEN.items()
        for match in pattern.finditer(text)
    ]


def test_no_file_names_this_machine_or_a_registry() -> None:
    problems = [
        problem
        for name in files()
        if name != HERE
        for problem in machine_problems(name, text_of(name))
    ]
    assert not problems, listing(problems)


@pytest.mark.parametrize(
    "line",
    [
        "see /work/shared/design.md",
        'open("/root/.config")',
        "/home/somebody/x",
        "https://mirror.invalid/simple",
        "https://files.pythonhosted.org/packages/x.whl",
        "https://artifactory.invalid/api",
    ],
)
def test_each_trace_is_found(line: str) -> None:
    assert machine_problems("README.md", line)


@pytest.mark.parametrize(
    "line",
    [
        "../shared/data/trades",
        "ReadWritePaths=/var/lib/seatrial",
        "ProtectHome=yes hides /root and /home",
        "https://example.invalid/docs",
        "$HOME/work/x",
    ],
)
def test_ordinary_paths_pass(line: str) -> None:
    assert not machine_problems("README.md", line)

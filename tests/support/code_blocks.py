"""Shell blocks of a Markdown document, with the exit codes that the text allows them.

A comment `<!-- may exit: 1 2 -->` right before a block allows those codes besides 0.
"""

import re
from dataclasses import dataclass

BLOCK = re.compile(
    r"(?:<!-- may exit: (?P<codes>[\d ]+) -->\n)?^```sh\n(?P<text>.*?)^```$",
    flags=re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class ShellBlock:
    """One block: where it stands, what it says, how it may end."""

    line: int
    text: str
    codes: frozenset[int]


def shell_blocks(document: str) -> list[ShellBlock]:
    """Every `sh` block, in order."""
    return [
        ShellBlock(
            line=document.count("\n", 0, match.start("text")) + 1,
            text=match["text"],
            codes=frozenset({0, *map(int, (match["codes"] or "").split())}),
        )
        for match in BLOCK.finditer(document)
    ]


def script_of(blocks: list[ShellBlock]) -> str:
    """One bash script that runs all blocks in one shell and names the block that failed."""
    parts = ["set -uo pipefail"]
    for block in blocks:
        allowed = " ".join(str(code) for code in sorted(block.codes))
        parts += [
            f"echo '=== block at line {block.line}'",
            "set -e" if block.codes == {0} else "set +e",
            f"LINE={block.line}",
            "trap 'echo \"=== FAILED: block at line $LINE\"' EXIT",
            block.text.rstrip("\n"),
            "code=$?; set +e",
            f'case " {allowed} " in *" $code "*) ;; *) exit $code ;; esac',
        ]
    return "\n".join([*parts, "trap - EXIT", "echo '=== all blocks ran'"]) + "\n"

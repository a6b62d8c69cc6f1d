"""A flame graph as a picture: stacks as py-spy writes them (`record -f raw -F`), one SVG.

    py-spy record -r 500 -f raw -F -o FOLDED -- python PROGRAM
    python -m tests.bench.flame FOLDED SVG TITLE [FRAME]

Width is the share of samples, from FRAME on (default: all); what is below a thousandth is left out.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LETTER = 1200, 17, 6.6
_FRAME = re.compile(r"(?P<name>.+?) \((?P<file>[^)]*?)(:\d+)?\)")


@dataclass
class Node:
    """One function under its callers."""

    samples: int = 0
    below: dict[str, "Node"] = field(default_factory=dict)


def folded(text: str, frame: str) -> Node:
    """The tree of all stacks that hold `frame`, from there on."""
    root = Node()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        names = [found["name"] if (found := _FRAME.match(one)) else one for one in stack.split(";")]
        if frame and frame not in names:
            continue
        node, samples = root, int(count)
        node.samples += samples
        for name in names[names.index(frame) if frame else 0 :]:
            node = node.below.setdefault(name, Node())
            node.samples += samples
    return root


def boxes(node: Node, total: int, left: float = 0.0, depth: int = 0) -> Iterator[str]:
    """A box for each function, callers below what they call."""
    for name, one in sorted(node.below.items()):
        width = WIDTH * one.samples / total
        if width < WIDTH / 1_000:
            continue
        share, top = f"{100 * one.samples / total:.1f} %", -(depth + 1) * HEIGHT
        hue = sum(name.encode()) % 50
        fits = int(width / LETTER)
        shown = name if len(name) <= fits else name[: fits - 1] + "…" if fits > 3 else ""
        yield (
            f'<g><title>{escape(name)} {share}</title><rect x="{left:.1f}" y="{top}" '
            f'width="{width:.1f}" height="{HEIGHT - 1}" fill="hsl({hue},75%,62%)"/>'
            f'<text x="{left + 3:.1f}" y="{top + 12}">{escape(shown)}</text></g>'
        )
        yield from boxes(one, total, left, depth + 1)
        left += width


def depth_of(node: Node) -> int:
    """How many functions stand on each other at most."""
    return 1 + max((depth_of(one) for one in node.below.values()), default=0)


def picture(root: Node, title: str) -> str:
    """The SVG."""
    height = HEIGHT * (depth_of(root) + 2)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {4 - height} {WIDTH} {height}" '
        f'font-family="monospace" font-size="11"><rect x="0" y="{4 - height}" width="{WIDTH}" '
        f'height="{height}" fill="#fff"/><text x="4" y="{20 - height}" font-size="13">'
        f"{escape(title)}: {root.samples:,} samples</text>"
    )
    return "\n".join([head, *boxes(root, max(1, root.samples)), "</svg>", ""])


def main(folded_file: str, svg: str, title: str, frame: str = "") -> None:
    """Read the stacks, write the picture."""
    Path(svg).write_text(picture(folded(Path(folded_file).read_text(), frame), title))


if __name__ == "__main__":
    main(*sys.argv[1:])

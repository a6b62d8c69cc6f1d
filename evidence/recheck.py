"""`python -m evidence.recheck JOURNAL [--json]`: every cap decision decided again.

What it does stands in `evidence.judge.decision_recheck`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from evidence.judge.decision_recheck import (
    EXIT_AGREED,
    EXIT_DISAGREED,
    EXIT_UNREADABLE,
    recheck,
)
from evidence.judge.disagreement import tell
from evidence.read.journal_sources import SourceError


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m evidence.recheck`."""
    parser = argparse.ArgumentParser(
        prog="python -m evidence.recheck",
        description="Decide every cap decision of a journal again, from its written inputs.",
        epilog="Exit codes: 0 all agree; 2 a disagreement, or a line altered or absent; "
        "1 an input that cannot be read.",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="JOURNAL")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    try:
        result = recheck(args.inputs)
    except (SourceError, OSError) as error:
        sys.stderr.write(f"evidence.recheck: {error}\n")
        return EXIT_UNREADABLE
    text = json.dumps(result) if args.json else tell(result)
    sys.stdout.write(text + "\n")
    return EXIT_AGREED if result["is_agreed"] else EXIT_DISAGREED


if __name__ == "__main__":
    sys.exit(main())

"""What `make docs` adds to mkdocs: the documents at the top of the repository are pages, too.

A document in `docs/` links to `../ARCHITECTURE.md`; on the site both lie side by side. Links to
what is no document (sources, scripts) become plain text: the site stands alone.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ADDED = ("ARCHITECTURE.md", "CHANGELOG.md", "deploy/caps/README.md")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


def on_files(files: Any, *, config: Any) -> Any:
    """Add the documents that lie outside of `docs/`."""
    kind = type(next(iter(files)))
    for name in ADDED:
        files.append(kind.generated(config, name, content=(ROOT / name).read_text()))
    return files


def on_page_markdown(markdown: str, *, page: Any, files: Any, **_: Any) -> str:
    """Point links at the places that the documents have on the site."""
    here = page.file.src_uri
    is_added = here in ADDED
    before = posixpath.dirname(here if is_added else f"docs/{here}")

    def placed(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        path, hash_mark, anchor = target.partition("#")
        if "://" in target or not path:
            return match[0]
        whole = posixpath.normpath(posixpath.join(before, path))
        name = whole.removeprefix("docs/") if whole.startswith("docs/") else whole
        if name == "README.md":
            name = "index.md"
        if files.get_file_from_path(name) is None:
            if not (ROOT / whole).exists():
                return match[0]  # the strict build names it
            return text if not mark else ""
        link = posixpath.relpath(name, posixpath.dirname(here) or ".")
        return f"{mark}[{text}]({link}{hash_mark}{anchor})"

    return _LINK.sub(placed, markdown)

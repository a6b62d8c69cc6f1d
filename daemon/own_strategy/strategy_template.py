"""What `seatrial strategy new` writes: a small strategy that teaches the protocol, with tests."""

import re
from importlib.resources import files
from pathlib import Path

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_ ][A-Za-z0-9]+)*")


class TemplateError(ValueError):
    """The files cannot be written; the message says why and what to do."""


def names_of(text: str) -> tuple[str, str]:
    """The module's and the class's name for what a person has typed.

    Raises:
        TemplateError: it is no name.
    """
    if not _NAME.fullmatch(text):
        raise TemplateError(f"{text!r}: begin with a letter; letters, digits, - and _ follow")
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", re.sub(r"[-_ ]", " ", text))
    return "_".join(word.lower() for word in words), "".join(w[0].upper() + w[1:] for w in words)


def write_strategy(name: str, directory: Path) -> tuple[Path, Path, str]:
    """Write strategy and test; (strategy, test, class name).

    Raises:
        TemplateError: one is there already, or cannot be written.
    """
    module, class_name = names_of(name)
    texts = files("daemon.own_strategy") / "templates"
    wanted = {
        directory / f"{module}.py": (texts / "strategy.txt").read_text(),
        directory / f"test_{module}.py": (texts / "test_strategy.txt").read_text(),
    }
    for path in wanted:
        if path.exists():
            raise TemplateError(f"{path} is there already: take another name, or another --dir")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, text in wanted.items():
            made = text.replace("CLASS_NAME", class_name).replace("MODULE_NAME", module)
            with path.open("x", encoding="utf-8") as out:
                out.write(made)
    except OSError as error:
        raise TemplateError(f"{error.filename}: {error.strerror}; check --dir") from error
    strategy, test = wanted
    return strategy, test, class_name

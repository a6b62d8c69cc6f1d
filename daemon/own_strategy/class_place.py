"""Where a strategy's class is: `FILE.py:Class` or `package.module:Class`, and how to import it."""

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

import msgspec

from daemon.shell.strategy_loader import StrategyConfigError

_OURS = frozenset({"control", "daemon", "evidence", "riskcaps"})


class ClassPlace(msgspec.Struct, frozen=True):
    """`root` must be on the import path; `class_path` is what the configuration's `class` says."""

    root: Path | None
    module: str
    class_name: str

    @property
    def class_path(self) -> str:
        """As `[strategies.NAME] class` has it."""
        return f"{self.module}:{self.class_name}"


def class_place(text: str) -> ClassPlace:
    """Read `FILE.py:Class` or `module:Class`.

    Raises:
        StrategyConfigError: it is neither, or there is no such file or module.
    """
    path, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        raise StrategyConfigError(f"{text!r}: write FILE.py:Class or package.module:Class")
    if not path.endswith(".py"):
        first = path.partition(".")[0]
        is_here = Path(f"{first}.py").exists() or Path(first, "__init__.py").exists()
        return ClassPlace(Path.cwd() if is_here else None, path, name)
    file = Path(path).absolute()
    if not file.is_file():
        raise StrategyConfigError(f"{path}: there is no such file")
    parts, root = [file.stem], file.parent
    while (root / "__init__.py").exists():
        parts.insert(0, root.name)
        root = root.parent
    module = ".".join(parts)
    if not all(part.isidentifier() for part in parts):
        raise StrategyConfigError(
            f"{path}: {module!r} is no module name: rename the file to letters, digits and _"
        )
    if parts[0] in sys.stdlib_module_names or parts[0] in _OURS:
        raise StrategyConfigError(f"{path}: a module {parts[0]!r} exists already: rename the file")
    return ClassPlace(root, module, name)


def import_class(place: ClassPlace) -> Any:
    """Import it; whatever the file raises is raised.

    Raises:
        StrategyConfigError: the module has no such class.
    """
    if place.root is not None and str(place.root) not in sys.path:
        sys.path.insert(0, str(place.root))
    module = importlib.import_module(place.module)
    made = getattr(module, place.class_name, None)
    if not inspect.isclass(made):
        classes = [
            name for name, one in vars(module).items()
            if inspect.isclass(one) and one.__module__ == module.__name__
        ]  # fmt: skip
        known = f"; it has {', '.join(classes)}" if classes else ""
        raise StrategyConfigError(f"{place.module} has no class {place.class_name}{known}")
    return made


def file_of(place: ClassPlace) -> Path:
    """The file that a class of a file is in."""
    return Path(place.root or ".", *place.module.split(".")).with_suffix(".py")

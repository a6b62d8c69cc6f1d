"""Whether a class is a strategy at all: that it can be imported, and has what the engine calls."""

import inspect
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from daemon.own_strategy.class_place import ClassPlace, file_of, import_class
from daemon.own_strategy.findings import StrategyFinding
from daemon.shell.strategy_loader import StrategyConfigError

METHODS: Mapping[str, Sequence[str]] = {
    "on_start": (), "on_market": ("top",), "on_trade": ("trade",), "on_report": ("report",),
    "on_denied": ("intent", "code"), "on_timer": ("name",), "on_stop": (),
}  # fmt: skip
"""What the engine calls, with its arguments after the view."""


def imported(place: ClassPlace) -> tuple[Any, StrategyFinding | None]:
    """The class, or why it cannot be imported."""
    try:
        return import_class(place), None
    except StrategyConfigError as error:
        file = str(file_of(place)) if place.root else ""
        return None, StrategyFinding(
            file, 0, str(error), "write the class's name as it stands there"
        )
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        root = str(place.root or "")
        own = [one for one in frames if root and one.filename.startswith(root)]
        file, line = (own[-1].filename, own[-1].lineno or 0) if own else ("", 0)
        mend = "mend the import"
        if isinstance(error, ModuleNotFoundError):
            if error.name and place.module.startswith(error.name):
                raise StrategyConfigError(
                    f"{place.module}: there is no such module; put its directory on PYTHONPATH, or "
                    "name the file: FILE.py:Class"
                ) from error
            mend = f"install {error.name} beside seatrial, or do without"
        return None, StrategyFinding(file, line, f"{type(error).__name__}: {error}", mend)


def shape_findings(made: Any) -> Iterator[StrategyFinding]:
    """Whether the class has what the engine calls, as it calls it."""
    file = inspect.getsourcefile(made) or ""
    line = made.__init__.__code__.co_firstlineno if hasattr(made.__init__, "__code__") else 0
    missing = [name for name in METHODS if not callable(getattr(made, name, None))]
    if missing:
        first = inspect.getsourcelines(made)[1]
        mend = "build on daemon.strategies.silent.Silent, which answers every call with no wish"
        yield StrategyFinding(file, first, f"lacks {', '.join(missing)}", mend)
        return
    for name, arguments in METHODS.items():
        method = getattr(made, name)
        try:
            inspect.signature(method).bind(None, None, *arguments)
        except TypeError as error:
            wanted = ", ".join(("self", "view", *arguments))
            code = getattr(method, "__code__", None)
            yield StrategyFinding(file, code.co_firstlineno if code else 0, f"{name}: {error}",
                          f"write def {name}({wanted})")  # fmt: skip
    signature = inspect.signature(made.__init__)
    plain = [
        one.name for one in list(signature.parameters.values())[3:]
        if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]  # fmt: skip
    if plain:
        yield StrategyFinding(file, line, f"parameters {', '.join(plain)} cannot be configured",
                      "write a `*,` before them: parameters are keyword-only")  # fmt: skip
    try:
        signature.bind(None, "", {}, **dict.fromkeys(_keywords(signature)))
    except TypeError as error:
        yield StrategyFinding(file, line, f"constructor: {error}",
                      "write def __init__(self, strategy_id, instruments, *, …)")  # fmt: skip


def _keywords(signature: inspect.Signature) -> list[str]:
    kinds = signature.parameters.values()
    return [one.name for one in kinds if one.kind is inspect.Parameter.KEYWORD_ONLY]


def remarks_of(made: Any) -> Iterator[str]:
    """What is no fault, and worth knowing."""
    if "needs_every_tick" not in vars(made):
        yield (
            "the class does not say `needs_every_tick`: the journal keeps every tick; where "
            "on_market and on_trade keep nothing of a tick, `needs_every_tick = False` saves disk"
        )

"""Strategies from the configuration: by built-in name or as `package.module:Class`.

Parameters are checked against the constructor's keyword-only arguments and annotations before the
daemon connects anywhere; amounts are text or integers, never floats.
"""

import importlib
import inspect
import traceback
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from daemon.model.amounts import AmountError, decimal_of
from daemon.model.ids import InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.strategy import Strategy
from daemon.settings import Settings, StrategySettings
from daemon.strategies.silent import Silent

BUILT_IN = {
    "quiet": "daemon.strategies.quiet:Quiet",
    "heartbeat": "daemon.strategies.heartbeat:Heartbeat",
    "quoter": "daemon.strategies.quoter:Quoter",
    "anchor": "daemon.strategies.anchor:Anchor",
    "prober": "daemon.strategies.prober:Prober",
    "ma_crossover": "daemon.strategies.ma_crossover:MovingAverageCrossover",
}

StrategyFactory = Callable[[StrategyId, Mapping[InstrumentId, Instrument]], Strategy]


class StrategyConfigError(ValueError):
    """A strategy cannot be built; the message names its key and the mend."""


def strategy_factory(name: str, settings: StrategySettings) -> StrategyFactory:
    """Check a strategy's class and parameters and return what builds it at session start.

    Raises:
        StrategyConfigError: naming every parameter that does not fit.
    """
    key = f"strategies.{name}"
    cls = _load(key, settings.class_path)
    params = _checked(key, cls, settings.params)
    return typing.cast("StrategyFactory", partial(cls, **params))


def needs_every_tick(name: str, settings: StrategySettings) -> bool:
    """Whether a strategy may keep something of a tick that it answers with no wish.

    It may unless its own class says otherwise (what a base class declares was said of the base), or
    it hears of no tick at all.

    Raises:
        StrategyConfigError: the class cannot be loaded.
    """
    cls = _load(f"strategies.{name}", settings.class_path)
    hears_none = cls.on_market is Silent.on_market and cls.on_trade is Silent.on_trade
    return not hears_none and vars(cls).get("needs_every_tick") is not False


def keepers_of_ticks(settings: Settings) -> tuple[str, ...]:
    """Why a run keeps every tick: names of configuration keys; none: it may be thinned.

    Raises:
        StrategyConfigError: a strategy's class cannot be loaded.
    """
    if settings.journal.keep_ticks == "all":
        return ("journal.keep_ticks",)
    named = settings.strategies.items()
    return tuple(f"strategies.{name}" for name, one in named if needs_every_tick(name, one))


def _load(key: str, class_path: str) -> Any:
    path = BUILT_IN.get(class_path, class_path)
    module_name, colon, class_name = path.partition(":")
    if not colon:
        known = ", ".join(BUILT_IN)
        raise StrategyConfigError(
            f"{key}.class: {class_path!r} is neither built in ({known}) nor package.module:Class"
        )
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise StrategyConfigError(
            f"{key}.class: cannot import {module_name}: {error}; is it on PYTHONPATH?"
        ) from error
    except Exception as error:  # whatever a file of somebody else's does while it is imported
        raise StrategyConfigError(
            f"{key}.class: importing {module_name} fails: {where(error)}; mend that file"
        ) from error
    cls = getattr(module, class_name, None)
    if not inspect.isclass(cls):
        raise StrategyConfigError(f"{key}.class: {module_name} has no class {class_name}")
    missing = [m for m in ("on_start", "on_market", "on_report") if not hasattr(cls, m)]
    if missing:
        raise StrategyConfigError(f"{key}.class: {class_name} lacks {', '.join(missing)}")
    return cls


def where(error: BaseException) -> str:
    """An exception of a strategy's own code, with the file and line that it came from."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return text  # it names the file and the line itself
    last = traceback.extract_tb(error.__traceback__)
    return f"{text} ({last[-1].filename}:{last[-1].lineno})" if last else text


def _checked(key: str, cls: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    signature = inspect.signature(cls.__init__)
    hints = typing.get_type_hints(cls.__init__)
    keywords = {
        n: p for n, p in signature.parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY
    }
    problems = [
        f"{key}.params.{n}: unknown; known: {', '.join(keywords) or 'none'}"
        for n in params
        if n not in keywords
    ]
    made: dict[str, Any] = {}
    for name, parameter in keywords.items():
        if name not in params:
            if parameter.default is inspect.Parameter.empty:
                problems.append(f"{key}.params.{name}: missing; add it")
            continue
        try:
            made[name] = _adapter(hints.get(name, Any)).validate_python(params[name])
        except ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            problems.append(f"{key}.params.{name}: {message}; got {params[name]!r}")
    if problems:
        raise StrategyConfigError("\n".join(problems))
    return made


def _amount(value: Any) -> Decimal:
    try:
        return decimal_of(value)
    except AmountError as error:
        raise ValueError(str(error)) from error


def _adapter(hint: Any) -> TypeAdapter[Any]:
    if hint is Decimal:
        return TypeAdapter(typing.Annotated[Decimal, BeforeValidator(_amount)])
    if isinstance(hint, type) and hint in (int, str, bool):
        return TypeAdapter(hint, config=ConfigDict(strict=True))
    return TypeAdapter(hint)

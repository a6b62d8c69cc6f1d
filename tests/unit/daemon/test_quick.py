"""`quick` against what `dataclasses` makes of the same class: nothing differs but the cost."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any

import pytest

from daemon.model.cheap_values import quick
from daemon.model.intents import PlaceIntent
from daemon.model.market import TopOfBook
from daemon.model.orders import NewOrder
from daemon.model.reports import ExecutionReport, Fill

QUICK: tuple[type, ...] = (PlaceIntent, TopOfBook, NewOrder, ExecutionReport, Fill)


@dataclass(frozen=True, slots=True)
class Plain:
    """The standard's own."""

    a: int
    b: str = "b"
    c: tuple[int, ...] = field(default=(), kw_only=True)


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    """The same, made quick."""

    a: int
    b: str = "b"
    c: tuple[int, ...] = field(default=(), kw_only=True)


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}),
    ((1, "x"), {}),
    ((1,), {"b": "y", "c": (1, 2)}),
    ((), {"a": 3, "c": (9,)}),
]


@pytest.mark.parametrize(("args", "kwargs"), CALLS)
def test_it_is_filled_as_the_standard_fills_it(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    mine, theirs = Quick(*args, **kwargs), Plain(*args, **kwargs)
    assert type(mine) is Quick
    assert (mine.a, mine.b, mine.c) == (theirs.a, theirs.b, theirs.c)
    assert repr(mine) == repr(theirs).replace("Plain", "Quick")
    assert hash(mine) == hash(theirs)
    assert mine == Quick(*args, **kwargs)
    assert replace(mine, a=7) == Quick(7, mine.b, c=mine.c)
    assert copy.deepcopy(mine) == mine
    assert pickle.loads(pickle.dumps(mine)) == mine


@pytest.mark.parametrize("args", [(), (1, "x", (1,)), (1, "x", (), 4)])
def test_it_refuses_what_the_standard_refuses(args: tuple[Any, ...]) -> None:
    for cls in (Plain, Quick):
        with pytest.raises(TypeError):
            cls(*args)


def test_it_stays_frozen() -> None:
    one = Quick(1)
    with pytest.raises(FrozenInstanceError):
        one.a = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del one.b
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        setattr(one, "new", 2)  # noqa: B010 - mypy knows that there is none
    assert one == Quick(1)


@pytest.mark.parametrize("cls", QUICK)
def test_the_models_of_reports_and_orders_are_frozen_and_keep_their_signature(cls: type) -> None:
    names = list(inspect.signature(cls).parameters)
    assert names == list(cls.__dataclass_fields__)  # type: ignore[attr-defined]
    required = {
        name: name
        for name, one in inspect.signature(cls).parameters.items()
        if one.default is inspect.Parameter.empty
    }
    made = cls(**required)
    assert type(made) is cls
    for name in required:
        assert getattr(made, name) == name
        with pytest.raises(FrozenInstanceError):
            setattr(made, name, "other")


def test_it_refuses_a_class_that_it_cannot_fill() -> None:
    @dataclass(frozen=True, slots=True)
    class WithFactory:
        a: list[int] = field(default_factory=list)

    @dataclass(slots=True)
    class Open:
        a: int

    @dataclass(frozen=True)
    class WithoutSlots:
        a: int

    for cls in (WithFactory, Open, WithoutSlots):
        with pytest.raises(TypeError, match=cls.__name__):
            quick(cls)

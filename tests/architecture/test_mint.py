"""Promise P1, no second door: one file makes orders, and what sends them takes nothing else."""

import ast
import re

import pytest

from tests.architecture.tree import (
    dotted,
    imported_names,
    listing,
    parsed,
    product_files,
    product_modules,
    text_of,
)

MINT = "riskcaps/gate/interceptor.py"
ORDERS = {"NewOrder", "NewOrderList", "CancelOrder", "ReplaceOrder", "AmendOrder"}
CALL_TEXT = re.compile(r"(?<!class )\bNewOrder\(")
COPIERS = {
    "copy.replace", "daemon.model.copies.replace", "dataclasses.replace", "msgspec.structs.replace",
}  # fmt: skip
LOOKING_IS_FREE = {"isinstance", "issubclass", "cast", "typing.cast", "get_args"}
SENDERS = re.compile(
    r"^(submit|perform|place|replace|amend|send)(_order|_new|_place|_replace|_amend|_cancel)?$"
)
ENCODED = {"WsRequest", "HttpRequest"}
"""What a codec made: whether it may hold a placement is asked where it is made."""
MAY_LEAVE = {
    "NewOrder", "NewOrderList", "CancelOrder", "ReplaceOrder", "AmendOrder",
    "SendOrder", "SendOrderList", "SendCancel", "SendReplace", "SendAmend",
    "VenueEffect", "Effect",
}  # fmt: skip
"""Types that only exist where the interceptor said yes, or effects that wrap them."""


def second_doors(name: str, module: ast.Module) -> list[str]:
    """Ways, in one file, to come by an order without the interceptor."""
    names = imported_names(module)
    problems = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            problems += [f"{name}:{node.lineno}: {why}" for why in _made_by(node, names)]
        elif isinstance(node, ast.ImportFrom):
            problems += [
                f"{name}:{node.lineno}: {alias.name} under another name hides its makers"
                for alias in node.names
                if alias.name in ORDERS and alias.asname
            ]
        elif isinstance(node, ast.Assign) and _order_name(node.value):
            problems.append(f"{name}:{node.lineno}: an alias of {_order_name(node.value)}")
        elif isinstance(node, ast.ClassDef) and any(_order_name(base) for base in node.bases):
            problems.append(f"{name}:{node.lineno}: {node.name} inherits from an order")
    return problems


def _made_by(call: ast.Call, names: dict[str, str]) -> list[str]:
    called = dotted(call.func, names)
    if _order_name(call.func):
        return [f"makes a {_order_name(call.func)}: only {MINT} may"]
    if called in LOOKING_IS_FREE:
        return []
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    handed = [found for argument in given if (found := _order_name(argument))]
    if handed:
        return [f"{called} is handed the class {handed[0]} and could build one"]
    first = ast.unparse(call.args[0]) if call.args else ""
    if called in COPIERS and "order" in first.lower():
        return ["copies an order with changes: that is a second order"]
    is_written = called == "msgspec.structs.force_setattr" and first != "self"
    if is_written or ast.unparse(call.func).endswith(".__set__"):
        return [f"writes into {first}, which is frozen: it could be an order"]
    return []


def _order_name(node: ast.expr) -> str:
    last = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return last if last in ORDERS else ""


def open_senders(name: str, module: ast.Module) -> list[str]:
    """Sending functions of the shell whose first argument is not an approved order or effect."""
    problems = []
    for node in ast.walk(module):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not SENDERS.match(node.name):
            continue
        arguments = [arg for arg in (*node.args.posonlyargs, *node.args.args) if arg.arg != "self"]
        annotation = arguments[0].annotation if arguments else None
        words = set(re.findall(r"\w+", ast.unparse(annotation))) if annotation else set()
        if words and (words <= MAY_LEAVE or words <= ENCODED):
            continue
        problems.append(
            f"{name}:{node.lineno}: {node.name} takes {words or 'anything'}; "
            f"what sends takes approved orders or their effects only"
        )
    return problems


def free_placements(name: str, module: ast.Module) -> list[str]:
    """Places that mark bytes as a placement without being given an approved order."""
    problems = []
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        marks = [
            keyword.value.lineno
            for node in ast.walk(function)
            if isinstance(node, ast.Call)
            for keyword in node.keywords
            if keyword.arg == "purpose" and ast.unparse(keyword.value).endswith("Purpose.PLACE")
        ]
        taken = {ast.unparse(a.annotation) for a in function.args.args if a.annotation}
        if marks and not taken & {"NewOrder", "NewOrderList", "ReplaceOrder", "AmendOrder"}:
            problems.append(
                f"{name}:{marks[0]}: {function.name} makes a placement out of {sorted(taken)}; "
                f"only an approved order may become one"
            )
    return problems


def test_only_approved_orders_become_placements() -> None:
    encoders = [name for name in product_modules() if "Purpose.PLACE" in text_of(name)]
    assert encoders, "no codec makes placements: has Purpose.PLACE another name now?"
    problems = [problem for name in encoders for problem in free_placements(name, parsed(name))]
    assert not problems, listing(problems)


def test_a_free_placement_is_found() -> None:
    free = "def place(self, fields: Fields):\n    return f(fields, purpose=Purpose.PLACE)"
    assert free_placements("codec.py", ast.parse(free))
    assert not free_placements("codec.py", ast.parse(free.replace("fields: Fields", "o: NewOrder")))


def test_the_text_stands_in_one_place() -> None:
    places = [
        f"{name}:{number}"
        for name in product_files()
        for number, line in enumerate(text_of(name).splitlines(), start=1)
        if CALL_TEXT.search(line)
    ]
    assert len(places) == 1, f"an order must be made in one place, it stands in: {places}"
    assert places[0].startswith(f"{MINT}:"), f"made in {places[0]}, must be {MINT}"


def test_only_the_interceptor_makes_orders() -> None:
    problems = [
        problem
        for name in product_modules()
        if name != MINT
        for problem in second_doors(name, parsed(name))
    ]
    assert not problems, listing(problems)


def test_what_sends_takes_only_what_was_approved() -> None:
    problems = [
        problem
        for name in product_modules()
        if name.startswith("daemon/shell/") and re.search(r"session|venue_link|order", name)
        for problem in open_senders(name, parsed(name))
    ]
    assert not problems, listing(problems)


@pytest.mark.parametrize(
    "source",
    [
        "NewOrder(a=1)",
        "orders.CancelOrder(a=1)",
        "from_plain(NewOrder, data)",
        "object.__new__(NewOrder)",
        "from daemon.model.orders import NewOrder as Wish",
        "Make = NewOrder",
        "class Mine(NewOrder): ...",
        "from dataclasses import replace\nreplace(order, qty=2)",
        "import dataclasses\ndataclasses.replace(effect.order, qty=2)",
        "from daemon.model.copies import replace\nreplace(order, qty=2)",
        "from daemon.model import copies\ncopies.replace(order, qty=2)",
        "import msgspec\nmsgspec.structs.replace(effect.order, qty=2)",
        "from msgspec.structs import replace as other\nother(order, qty=2)",
        "from msgspec.structs import force_setattr\nforce_setattr(made, 'qty', 2)",
        "import msgspec\nmsgspec.structs.force_setattr(made, 'qty', 2)",
        "type(made).qty.__set__(made, 2)",
        "msgspec.json.decode(text, type=NewOrder)",
    ],
)
def test_each_second_door_is_found(source: str) -> None:
    assert second_doors("daemon/core/engine.py", ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "def submit(order: NewOrder) -> None: ...",
        "isinstance(x, NewOrder)",
        "match x:\n    case SendOrder(order=NewOrder()): ...",
        "sent: dict[str, NewOrder] = {}",
        "from daemon.model.copies import replace\nreplace(fill, recovered=True)",
        "from msgspec.structs import force_setattr\nforce_setattr(self, 'symbols', {})",
    ],
)
def test_looking_at_an_order_is_free(source: str) -> None:
    assert not second_doors("daemon/core/engine.py", ast.parse(source))


@pytest.mark.parametrize(
    ("source", "open_door"),
    [
        ("def submit(self, order: NewOrder): ...", False),
        ("def perform(self, effect: VenueEffect): ...", False),
        ("async def send_cancel(cancel: CancelOrder, now_ns: int): ...", False),
        ("def submit(self, payload: bytes): ...", True),
        ("def submit(self, order): ...", True),
        ("def place(self, order: PlaceIntent): ...", True),
        ("def place(self, order: NewOrder | PlaceIntent): ...", True),
    ],
)
def test_an_open_sender_is_found(source: str, open_door: bool) -> None:
    assert bool(open_senders("daemon/shell/link/order_session.py", ast.parse(source))) is open_door

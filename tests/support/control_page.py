"""docs/CONTROL-PROTOCOL.md, generated from the code: `python -m tests.support.control_page`.

Methods, roles, parameters and their bounds, answers, errors and exit codes stand in the code alone;
a test plays every method on a real daemon and holds its answers to the page.
"""

import ast
import inspect
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

from control.control_errors import ProtocolErrorCode
from control.method_answers import ANSWERS, types_of
from control.methods import METHODS, MethodSpec, schema
from control.protocol import LINE_BYTES_MAX, PROTOCOL_VERSION
from control.tool import failures
from daemon.core.command_errors import CommandErrorCode

PAGE = Path(__file__).resolve().parents[2] / "docs" / "CONTROL-PROTOCOL.md"
HEAD = f"""# Control protocol

What `seatrial` says to `seatriald`, for those who write a tool of their own: JSON-RPC 2.0 over the
Unix socket `STATE_DIR/control.sock`, one message a line, at most {LINE_BYTES_MAX:,} bytes each. The
protocol's version is {PROTOCOL_VERSION}. `seatrial rpc METHOD [PARAMS]` sends one request, and
`seatrial rpc schema` prints this page for programs. The kernel says who a caller is; `[control]` in
the configuration says which role that is. Each role may do what those before it may: observer,
stopper, operator.

```
-> {{"jsonrpc": "2.0", "id": 1, "method": "cancel-all", "params": {{"reason": "drill"}}}}
<- {{"jsonrpc": "2.0", "id": 1, "result": {{"orders": 3, "command_id": "c-9f0d62a1c4b7e835"}}}}
```

* A request has an `id` (text or integer) and is always answered. Batches and notifications are
  refused. `version` may be given; another than {PROTOCOL_VERSION} is refused.
* A command may carry a `command_id`. The same one again, with the same words, gets the first answer
  again instead of being carried out twice; a kill is always carried out.
* A command's answer has its `command_id`, also when it is an error. After `timeout` the outcome is
  unknown: ask `status`.
* Amounts are decimal text, times are integers in nanoseconds unless the name says `_ms` or `_s`.
* A stop needs no well-formed reason: it is cut and cleaned. A kill passes over what it does not
  know.

Generated (`python -m tests.support.control_page`); a test fails when it is stale.

"""


def page_text() -> str:
    """The whole page."""
    parts = [
        HEAD,
        "## Methods\n\n| method | role | answer within | what it does |\n|---|---|---|---|",
    ]
    parts += [
        f"| [`{one.name}`](#{one.name}) | {one.needs} | {one.deadline_s:g} s | {one.summary} |"
        for one in METHODS.values()
    ]
    for spec in METHODS.values():
        parts += ["", *_method(spec)]
    parts += ["", *_notifications(), "", *_errors(), "", *_exit_codes(), ""]
    return "\n".join(parts)


def _method(spec: MethodSpec) -> list[str]:
    lines = [f"### {spec.name}", "", f"{spec.summary[:1].upper()}{spec.summary[1:]}."]
    lines[-1] += f" Role: {spec.needs}." + (" Needs a reason." if spec.reason_required else "")
    model = spec.params.model_json_schema()
    asked = model.get("properties", {})
    if asked:
        said = _said_of(spec.params)
        required = set(model.get("required", ())) | ({"reason"} if spec.reason_required else set())
        lines += ["", "| parameter | type | bounds | |", "|---|---|---|---|"]
        lines += [
            f"| `{name}`{' (optional)' * (name not in required)} | {_type(one)} "
            f"| {_bounds(one)} | {said.get(name, '')} |"
            for name, one in asked.items()
        ]
    answer = ANSWERS[spec.name]
    said = _said_of(answer)
    lines += ["", "| answer | type | |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {kind.removesuffix('?')}{', not always' * kind.endswith('?')} |"
        f" {said.get(name, '')} |"
        for name, kind in types_of(answer).items()
    ]
    return lines


def _notifications() -> list[str]:
    rows = [f"| `{name}` | {text} |" for name, text in schema()["notifications"].items()]
    return ["## Notifications", "", "Sent to who has asked for them.", "",
            "| method | what it says |", "|---|---|", *rows]  # fmt: skip


def _errors() -> list[str]:
    said, why = _said_of(ProtocolErrorCode), _said_of(CommandErrorCode)
    rows = [f"| {int(one)} | `{one.title}` | {said[one.name]} |" for one in ProtocolErrorCode]
    codes = [f"| `{one.value}` | {why[one.name]} |" for one in CommandErrorCode]
    return [
        "## Errors", "", "`error.data.name` is the name of `error.code`.", "",
        "| code | name | what it means |", "|---|---|---|", *rows, "",
        "Where the name is `refused`, `error.data.code` says why:", "",
        "| code | what it means |", "|---|---|", *codes,
        "| `no_preflight` | No `seatrial preflight` that passed holds; the testnet asks for one. |",
        "| `session_on` | Drills are run while no session is on. |",
        "| `bot_revoked` | The bot's key was revoked, and its name never trades again. |",
        "| `live_blocked` | A live host is refused. |",
        "| `token_…` | A start on a live host needs a fresh confirm token. |",
    ]  # fmt: skip


def _exit_codes() -> list[str]:
    text = inspect.cleandoc(failures.__doc__ or "").split("\n\n")[1]
    rows = [line.strip().split(maxsplit=1) for line in textwrap.dedent(text).splitlines()]
    return ["## Exit codes of `seatrial`", "", "| code | what it means |", "|---|---|",
            *(f"| {code} | {words} |" for code, words in rows)]  # fmt: skip


def _said_of(cls: type) -> dict[str, str]:
    """The text that stands under each field or member, those of the bases too."""
    said: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if one.__module__.partition(".")[0] not in {"control", "daemon"}:
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        for field, below in pairwise(getattr(tree, "body", ())):
            name = _name_of(field)
            if name and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                said[name] = " ".join(str(below.value.value).split())
    return said


def _name_of(field: ast.stmt) -> str:
    if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
        return field.target.id
    if isinstance(field, ast.Assign) and isinstance(field.targets[0], ast.Name):
        return field.targets[0].id
    return ""


def _type(one: dict[str, Any]) -> str:
    names = {"string": "text", "array": "list", "null": "null"}
    if "anyOf" in one:
        return " or ".join(_type(each) for each in one["anyOf"])
    kind = str(one.get("type", "value"))
    if kind == "array":
        return f"list of {_type(one['items'])}"
    return names.get(kind, kind)


def _bounds(one: dict[str, Any]) -> str:
    told = [one, *one.get("anyOf", ())]
    words = []
    for key, text in (
        ("pattern", "`{}`"), ("minLength", "at least {} characters"),
        ("maxLength", "at most {} characters"), ("minimum", "≥ {}"), ("maximum", "≤ {}"),
        ("maxItems", "at most {}"),
        ("minProperties", "at least {}"), ("maxProperties", "at most {}"),
    ):  # fmt: skip
        words += [text.format(each[key]) for each in told if key in each]
    if one.get("default") not in (None, "", False, []):
        words.append(f"default {one['default']}")
    return ", ".join(words).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page_text())

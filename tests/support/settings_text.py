"""The configuration's keys as a table for people: generated, so that it cannot lie.

`python -m tests.architecture.test_readme_tables` writes it into `docs/CONFIG.md`.
"""

import ast
import inspect
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from daemon.settings import Settings


def settings_table() -> str:
    """Every key: default, bounds, what it does. One Markdown table a section."""
    sections: list[tuple[str, str, list[str]]] = []
    _collect(Settings, "", sections)
    lines: list[str] = []
    for name, text, rows in sections:
        lines += [f"## {name}", text, "", "| key | default | bounds | what it does |"]
        lines += ["|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _collect(
    model: type[BaseModel], prefix: str, sections: list[tuple[str, str, list[str]]]
) -> None:
    rows: list[str] = []
    title = f"`[{prefix}]`" if prefix else "Top level"
    text = "" if not prefix else _one_line(model.__doc__ or "").partition(": ")[2] or ""
    sections.append((title, text[:1].upper() + text[1:], rows))
    said = _said_of(model)
    for name, info in model.model_fields.items():
        key = info.alias or name
        inner = _model_of(info)
        if inner is not None:
            path = f"{prefix}.{key}".strip(".")
            is_named = get_origin(info.annotation) is dict  # by names of the user's own
            _collect(inner, f"{path}.NAME" if is_named else path, sections)
            continue
        what = _one_line(said.get(name, ""))
        rows.append(f"| `{key}` | {_default(info)} | {_bounds(info)} | {what} |")


def _said_of(model: type[BaseModel]) -> dict[str, str]:
    """The text that stands under each field. Read from the source here, so that no start does."""
    (cls,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    said: dict[str, str] = {}
    for field, below in pairwise(cls.body if isinstance(cls, ast.ClassDef) else ()):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            said[field.target.id] = inspect.cleandoc(str(below.value.value))
    return said


def _model_of(info: FieldInfo) -> type[BaseModel] | None:
    for kind in (info.annotation, *get_args(info.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _default(info: FieldInfo) -> str:
    value: Any = info.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if not isinstance(value, str | Path) else f'`"{value}"`'


def _bounds(info: FieldInfo) -> str:
    said: list[str] = []
    for rule in info.metadata:
        if isinstance(rule, Ge):
            said.append(f">= {rule.ge}")
        elif isinstance(rule, Le):
            said.append(f"<= {rule.le}")
        elif isinstance(rule, MinLen):
            said.append(f"at least {rule.min_length}")
        elif isinstance(rule, MaxLen):
            said.append(f"at most {rule.max_length}")
    choices = [value for value in get_args(info.annotation) if isinstance(value, str)]
    return ", ".join(said) or " or ".join(f'`"{value}"`' for value in choices)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

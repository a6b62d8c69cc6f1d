"""The only way to start a task: named, with a parent, and fatal when it fails."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def spawn(
    group: asyncio.TaskGroup, coroutine: Coroutine[Any, Any, None], *, name: str
) -> asyncio.Task[None]:
    """Start `coroutine` as a child of `group`; its failure ends the group (no silent death)."""
    return group.create_task(coroutine, name=name)

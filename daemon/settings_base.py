"""What the models of the configuration share: strict, frozen, no unknown keys."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from daemon.model.config_paths import place_of


class Frozen(BaseModel):
    """Base of all tables."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        populate_by_name=True,
    )


def _placed(value: Any, info: ValidationInfo) -> Any:
    base: Path = (info.context or {})["base"]
    return place_of(value, base) if isinstance(value, str | Path) else value


Place = Annotated[Path, Field(strict=False), BeforeValidator(_placed)]
"""A path; a relative one begins at the folder of the configuration file."""
Milliseconds = Annotated[int, Field(ge=1, le=600_000)]

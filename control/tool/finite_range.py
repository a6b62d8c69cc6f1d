"""Numbers of the command line that are neither endless nor no number at all."""

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """As a float range; NaN is in every range of click's, and infinity in some."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """A number within the bounds."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number

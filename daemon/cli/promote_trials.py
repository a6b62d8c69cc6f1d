"""`seatrial promote` with the judges of the trials: the accountant has none of its own (P10)."""

import copy
import functools

from daemon.trials.passed import why_not_as_kept
from evidence.promotion.promote_command import promote_command as without_judges

promote_command = copy.copy(without_judges)
if without_judges.callback is not None:
    promote_command.callback = functools.partial(
        without_judges.callback, judge_again=why_not_as_kept
    )

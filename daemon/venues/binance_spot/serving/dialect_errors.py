"""The venue's refusals: documented codes and wordings, because clients match the wording.

Codes and texts: venues/binance-spot.md §7.
"""


class DialectError(Exception):
    """The venue's definite no: documented code and wording, and the HTTP status that carries it."""

    def __init__(
        self, code: int, msg: str, status: int = 400, data: dict[str, object] | None = None
    ) -> None:
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg
        self.status = status
        self.data = data


def mandatory(name: str) -> DialectError:
    """-1102 in the documented wording."""
    return DialectError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def illegal(name: str, legal_range: str) -> DialectError:
    """-1100 in the documented wording."""
    return DialectError(
        -1100,
        f"Illegal characters found in parameter '{name}'; legal range is '{legal_range}'.",
    )


def empty(name: str) -> DialectError:
    """-1105 in the documented wording."""
    return DialectError(-1105, f"Parameter '{name}' was empty.")


def invalid(name: str) -> DialectError:
    """-1130 in the documented wording."""
    return DialectError(-1130, f"Data sent for parameter '{name}' is not valid.")


def superfluous(name: str) -> DialectError:
    """-1106 in the documented wording."""
    return DialectError(-1106, f"Parameter '{name}' sent when not required.")


def not_permitted() -> DialectError:
    """-2015 in the documented wording; it does not say which of the three it is."""
    return DialectError(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def not_supported(status: int = 400, *, why: str = "") -> DialectError:
    """-1020: a call, or a form of an order, that is not served; `why` in our own words."""
    words = "This operation is not supported."
    return DialectError(-1020, f"{words} seatrial: {why}" if why else words, status)


def unknown_order() -> DialectError:
    """-2011 in the documented wording; it proves nothing about the order."""
    return DialectError(-2011, "Unknown order sent.")


def no_such_order() -> DialectError:
    """-2013 in the documented wording."""
    return DialectError(-2013, "Order does not exist.")


def unknown_outcome() -> DialectError:
    """-1007 in the documented wording: the request may have been executed."""
    return DialectError(
        -1007,
        "Timeout waiting for response from backend server. "
        "Send status unknown; execution status unknown.",
        504,
    )


def bus_lost() -> DialectError:
    """-1006 in the documented wording: the request may have been executed."""
    return DialectError(
        -1006,
        "An unexpected response was received from the message bus. Execution status unknown.",
        503,
    )


def overloaded() -> DialectError:
    """-1008 in the documented wording: the request was not executed."""
    return DialectError(
        -1008,
        "Server is currently overloaded with other requests. Please try again in a few minutes.",
        503,
    )


def invalid_symbol() -> DialectError:
    """-1121 in the documented wording."""
    return DialectError(-1121, "Invalid symbol.")


def combination_invalid() -> DialectError:
    """-1128 in the documented wording: parameters that may not stand together."""
    return DialectError(-1128, "Combination of optional parameters invalid.")


def filter_failure(name: str) -> DialectError:
    """-1013 in the documented wording; `name` is the filter's."""
    return DialectError(-1013, f"Filter failure: {name}")


def insufficient_balance() -> DialectError:
    """-2010 in the documented wording."""
    return DialectError(-2010, "Account has insufficient balance for requested action.")


def market_closed() -> DialectError:
    """-2010 in the documented wording."""
    return DialectError(-2010, "Market is closed.")


def duplicate_order() -> DialectError:
    """-2010 in the documented wording: an open order has this id."""
    return DialectError(-2010, "Duplicate order sent.")


def disabled(own: str = "") -> DialectError:
    """-2010 in the documented wording: the account may not trade; `own` says why in our words."""
    words = "This action is disabled on this account."
    return DialectError(-2010, f"{words} seatrial: {own}" if own else words)

"""REST for bots: raw bytes in, an answer out."""

import logging

import msgspec
import orjson

from daemon.shell.gateway.bot_authentication import Authentication, cancel_target
from daemon.shell.gateway.bot_calls import BotCalls
from daemon.shell.gateway.gateway_rules import BotRules
from daemon.shell.gateway.public import PublicCalls
from daemon.venues.binance_spot.serving.bot_forms import check_served
from daemon.venues.binance_spot.serving.call_table import CallKind, Endpoint
from daemon.venues.binance_spot.serving.dialect_errors import (
    DialectError,
    not_supported,
    unknown_outcome,
)
from daemon.venues.binance_spot.serving.params import Params, from_form, signed_text
from daemon.venues.binance_spot.serving.registered_keys import raw_signature
from daemon.venues.binance_spot.serving.rest_requests import (
    GONE_PATHS,
    HTML_TYPE,
    JSON_TYPE,
    RestRequest,
    authenticate,
    endpoint_of,
    html_page,
    refusal,
)

log = logging.getLogger("seatriald")
_CANCEL_BODY_MAX = 4_096
"""Bytes that are read before the rate is looked at; no honest cancel has more."""


class RestAnswer(msgspec.Struct, frozen=True):
    """What goes back."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class RestFront:
    """Lives on the gateway's loop."""

    def __init__(
        self, authentication: Authentication, calls: BotCalls, public: PublicCalls
    ) -> None:
        self._authentication = authentication
        self._calls = calls
        self._public = public

    async def answer(self, request: RestRequest) -> RestAnswer:
        """Answer one request; a refusal is an answer, too."""
        if request.path in GONE_PATHS:
            return RestAnswer(410, html_page("410 Gone"), HTML_TYPE)
        key = self._authentication.keys.get(request.api_key)
        bot = self._authentication.rules_of(key.account) if key is not None else None
        endpoint: Endpoint | None = None
        try:
            endpoint = self._charged(request)
            status, body = await self._result(request, endpoint, bot)
            return RestAnswer(status, body, headers=self._headers(bot, endpoint))
        except DialectError as error:
            body, more = refusal(error, self._authentication.judge_ns())
            return RestAnswer(error.status, body, headers=self._headers(bot, endpoint) | more)

    def _charged(self, request: RestRequest) -> Endpoint:
        try:
            endpoint = endpoint_of(request)
        except DialectError:
            self._authentication.charge(request.api_key, None)
            raise
        target = ""
        if endpoint.kind is CallKind.CANCEL and len(request.body) <= _CANCEL_BODY_MAX:
            target = cancel_target(endpoint, from_form(request.query, request.body))
        self._authentication.charge(request.api_key, endpoint, target)
        return endpoint

    async def _result(
        self, request: RestRequest, endpoint: Endpoint, bot: BotRules | None
    ) -> tuple[int, bytes]:
        params = from_form(request.query, request.body)
        if not endpoint.signed:
            authenticate({}, endpoint, request, params, 0)  # checks the parameters
            reply = await self._public.answer(endpoint, params, bot)
            return reply.status, reply.body
        return 200, orjson.dumps(await self._signed(request, endpoint, params))

    async def _signed(self, request: RestRequest, endpoint: Endpoint, params: Params) -> object:
        authentication = self._authentication
        try:
            key = authenticate(
                authentication.keys, endpoint, request, params, authentication.judge_ns()
            )
        except DialectError as error:
            authentication.refused(error, request.api_key, *_signature_of(request))
            raise
        handler = self._calls.handlers.get(endpoint.name)
        if key is None or handler is None:
            check_served(endpoint.name)
            raise not_supported()
        try:
            proof = authentication.proof(key, *_signature_of(request))
            return await handler(authentication.let_in(key, params, proof))
        except DialectError:
            raise
        except Exception:
            log.exception("gateway: a bug in %s; the bot is told that it is unknown", endpoint.name)
            raise unknown_outcome() from None

    def _headers(self, bot: BotRules | None, endpoint: Endpoint | None) -> dict[str, str]:
        if bot is None:
            return {}
        counts = endpoint is not None and endpoint.counts_orders
        return self._authentication.counts[bot.name].headers(
            self._authentication.now_ns(), with_orders=counts
        )


def _signature_of(request: RestRequest) -> tuple[bytes, str]:
    """What was signed, and the signature."""
    query, body = request.query, request.body
    return signed_text(query, body), raw_signature(query, body)

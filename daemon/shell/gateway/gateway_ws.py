"""The WebSocket API for bots: requests answered as they are ready, user data of their own."""

import asyncio
import logging

import orjson

from daemon.model.effects import BotBalances, BotEffect, BotListChanged, BotOrderChanged
from daemon.model.enums import VenueOrderStatus
from daemon.shell.gateway.bot_authentication import Authentication, cancel_target
from daemon.shell.gateway.bot_calls import BotCalls, busy
from daemon.shell.gateway.public import PublicCalls
from daemon.shell.gateway.public_market import PublicReply
from daemon.shell.process.tasks import spawn
from daemon.shell.sim_host.sim_connection import SimConnection
from daemon.venues.binance_spot.serving.bot_forms import check_served
from daemon.venues.binance_spot.serving.bot_rows import list_status_of, position_of, report_of
from daemon.venues.binance_spot.serving.call_table import ENDPOINTS, CallKind, Endpoint
from daemon.venues.binance_spot.serving.dialect_errors import (
    DialectError,
    not_permitted,
    not_supported,
    unknown_outcome,
)
from daemon.venues.binance_spot.serving.params import Params
from daemon.venues.binance_spot.serving.refusals import try_again
from daemon.venues.binance_spot.serving.ws_frames import (
    MALFORMED,
    ApiRequest,
    ApiSession,
    answer_frame,
    authenticate,
    control,
    decode_request,
    envelope,
    event_body,
    signed_params,
    subscribers,
    terminated_frame,
)

log = logging.getLogger("seatriald")
IN_FLIGHT_MAX = 200
"""Requests of one connection that may wait for their answers; the next ones wait to begin."""
QUEUED_MAX = 1_000
"""Requests of one connection that may wait to begin; the next ones are refused, cancels never."""


class ApiFront:
    """All WebSocket API connections. Lives on the gateway's loop."""

    def __init__(
        self, authentication: Authentication, calls: BotCalls, public: PublicCalls
    ) -> None:
        self._authentication = authentication
        self._calls = calls
        self._public = public
        self._connections: dict[ApiSession, SimConnection] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def opened(self, session: ApiSession, connection: SimConnection) -> None:
        """A connection is there."""
        self._connections[session] = connection

    def closed(self, session: ApiSession) -> None:
        """It is gone; what it asked for goes on."""
        self._connections.pop(session, None)

    def connections(self) -> list[SimConnection]:
        """The open ones."""
        return list(self._connections.values())

    def bot_of(self, session: ApiSession) -> str:
        """Whose signed session it is; empty: nobody has signed on it."""
        if session.key is not None:
            return session.key.account
        return next((owner for owner, _ in session.subscriptions.values()), "")

    def heard(self, session: ApiSession) -> None:
        """A frame of any kind has come: of an open signed session it is a sign of life."""
        if session.key is None and not session.subscriptions:
            return
        for bot in _signers(session):
            self._authentication.heard(bot, self._authentication.now_ns())

    def begin(
        self,
        group: asyncio.TaskGroup,
        session: ApiSession,
        connection: SimConnection,
        frame: bytes,
        *,
        is_refused: bool = False,
    ) -> "asyncio.Task[None]":
        """Answer one frame, beside those that still wait; they are offered in their order.

        `is_refused`: too many wait, and nothing is done but to say so.
        """
        answer = self._answer(session, connection, frame, is_refused=is_refused)
        return spawn(group, answer, name="gateway-api-answer")

    def is_cancel(self, frame: bytes) -> bool:
        """Whether a frame asks for a cancel, which waits for no other request."""
        try:
            endpoint = ENDPOINTS.get(decode_request(frame).method)
        except DialectError:
            return False
        return endpoint is not None and endpoint.kind is CallKind.CANCEL

    def follow(self, effect: BotEffect) -> None:
        """Tell a bot's subscribers what has happened; its lines are written."""
        listeners = [
            (connection, number)
            for session, connection in self._connections.items()
            for number in subscribers(session, effect.bot)
        ]
        if not listeners:
            return  # an event costs more to make than an answer: made for whoever hears it
        now_ns = self._authentication.judge_ns()
        if isinstance(effect, BotOrderChanged):
            row = effect.row
            never_there = row.status is None or row.venue_order_id is None
            if never_there or row.status is VenueOrderStatus.UNRECOGNISED:
                return
            body = event_body(report_of(effect, self._calls.next_execution_id()))
        elif isinstance(effect, BotListChanged):
            body = event_body(list_status_of(effect))
        elif isinstance(effect, BotBalances):
            body = event_body(position_of(effect.bot, effect.rows, now_ns))
        else:
            return
        for connection, number in listeners:
            connection.send_event(envelope(number, body), now_ns)

    def revoke(self, bot: str) -> None:
        """Close every connection on which the bot has signed: its key is gone, or another one."""
        for session, connection in list(self._connections.items()):
            if bot in _signers(session):
                connection.close_after_outbox()

    async def _answer(
        self, session: ApiSession, connection: SimConnection, frame: bytes, *, is_refused: bool
    ) -> None:
        request = MALFORMED
        endpoint: Endpoint | None = None
        ended: tuple[int, ...] = ()
        answer: object
        try:
            request = decode_request(frame)
            endpoint = ENDPOINTS.get(request.method)
            api_key = request.params.text("apiKey") or (
                session.key.api_key if session.key is not None else ""
            )
            target = cancel_target(endpoint, request.params) if endpoint is not None else ""
            self._authentication.charge(api_key, endpoint, target)
            if is_refused:
                raise busy()
            if endpoint is None:
                answer, ended = self._control(session, request, api_key)
            else:
                answer = await self._called(session, endpoint, request.params, api_key)
        except DialectError as error:
            answer = error.with_traceback(None)  # it holds this frame, which holds it
        now_ns = self._authentication.judge_ns()
        bot = self.bot_of(session) or self._account(request)
        counts = self._authentication.counts.get(bot)
        with_orders = endpoint is not None and endpoint.counts_orders
        connection.send(
            answer_frame(
                session,
                request,
                answer,
                now_ns,
                lambda: counts.rows(now_ns, with_orders=with_orders) if counts else [],
            ),
            now_ns,
        )
        for number in ended:
            connection.send(terminated_frame(number, now_ns), now_ns)

    def _control(
        self, session: ApiSession, request: ApiRequest, api_key: str
    ) -> tuple[object, tuple[int, ...]]:
        authentication = self._authentication
        now_ns = authentication.judge_ns()
        try:
            done = control(authentication.keys, session, request, judge_ns=now_ns, clock_ns=now_ns)
        except DialectError as error:
            params = request.params
            authentication.refused(error, api_key, signed_params(params), params.text("signature"))
            raise
        self.heard(session)
        return done.result, done.ended

    async def _called(
        self, session: ApiSession, endpoint: Endpoint, params: Params, api_key: str
    ) -> object:
        authentication = self._authentication
        try:
            key = authenticate(
                authentication.keys, session, endpoint, params, authentication.judge_ns()
            )
        except DialectError as error:
            authentication.refused(error, api_key, signed_params(params), params.text("signature"))
            raise
        if key is None:
            bot = (
                authentication.rules_of(authentication.keys[api_key].account)
                if api_key in authentication.keys
                else None
            )
            reply = await self._public.answer(endpoint, _unsigned(params), bot)
            if reply.status != 200:
                raise refused_by_venue(reply)
            return orjson.Fragment(reply.body)
        if key.api_key not in authentication.keys:  # revoked since the logon
            raise not_permitted()
        handler = self._calls.handlers.get(endpoint.name)
        if handler is None:
            check_served(endpoint.name)
            raise not_supported()
        try:
            proof = ""
            if key.is_ed25519:
                proof = authentication.proof(key, signed_params(params), params.text("signature"))
            return await handler(authentication.let_in(key, params, proof))
        except DialectError:
            raise
        except Exception:
            log.exception("gateway: a bug in %s; the bot is told that it is unknown", endpoint.name)
            raise unknown_outcome() from None

    def _account(self, request: ApiRequest) -> str:
        key = self._authentication.keys.get(request.params.text("apiKey"))
        return key.account if key is not None else ""


def _signers(session: ApiSession) -> set[str]:
    """Every bot that has signed on a connection: each may subscribe on it."""
    signed = {owner for owner, _ in session.subscriptions.values()}
    return signed if session.key is None else signed | {session.key.account}


def refused_by_venue(reply: PublicReply) -> DialectError:
    """The venue's own words; what stands before the venue (a proxy, a firewall) has others."""
    try:
        told = orjson.loads(reply.body)
        return DialectError(int(told["code"]), str(told["msg"]), reply.status)
    except (ValueError, TypeError, LookupError):
        return try_again()


def _unsigned(params: Params) -> Params:
    """The parameters of a public call, without those that only concern the connection."""
    values = {
        name: value
        for name, value in params.values.items()
        if name not in {"apiKey", "returnRateLimits"}
    }
    return Params(values)

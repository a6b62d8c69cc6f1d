"""Answers to order requests -> inputs for the engine. Pure: what an answer proves, no more.

An answer that cannot be read is no answer: `OutcomeUnknown`.
"""

from daemon.errors import Undecodable
from daemon.model.inputs import Input, OutcomeUnknown, VenueReport
from daemon.venues.answers import Answer, Asked, cancel_reject, of_fault, reject, unknown
from daemon.venues.binance_spot import replace_reply
from daemon.venues.binance_spot.codec_rest import decode_amended
from daemon.venues.binance_spot.order_rows import SpotRowReader
from daemon.venues.binance_spot.spot_rows import decode_ended, decode_list, decode_order
from daemon.venues.faults import DEFINITE

_HALVES = frozenset({-2021, -2022})
"""Codes of a cancel-replace whose halves should have been told."""


def inputs_of(asked: Asked, answer: Answer, reader: SpotRowReader) -> list[Input]:
    """What the engine is told of an answer."""
    try:
        if asked.kind == "replace":
            return _replace(asked, answer, reader)
        if answer.fault is not None:
            return of_fault(asked, answer.fault, answer.ts_recv_ns)
        if asked.others:
            return _list_placed(asked, answer, reader)
        if asked.kind == "place":
            report = reader.placed(decode_order(answer.result), answer.ts_recv_ns)
            if report.client_order_id != asked.client_order_id:
                return unknown(asked, f"the answer is about {report.client_order_id}")
            return [VenueReport(report)]
        if asked.kind == "cancel":
            rows = decode_ended(answer.result)
            return [VenueReport(reader.canceled(row, answer.ts_recv_ns)) for row in rows]
        report = reader.amended(decode_amended(answer.result), answer.ts_recv_ns)
        return [VenueReport(report)]
    except Undecodable as error:
        return unknown(asked, str(error)[:200])


def _list_placed(asked: Asked, answer: Answer, reader: SpotRowReader) -> list[Input]:
    reports = [reader.placed(row, answer.ts_recv_ns) for row in decode_list(answer.result)]
    told = {one.client_order_id for one in reports}
    if told != {*asked.all}:
        return unknown(asked, f"the answer is about {', '.join(sorted(told))}")
    return [VenueReport(one) for one in reports]


def _replace(asked: Asked, answer: Answer, reader: SpotRowReader) -> list[Input]:
    ts_recv_ns = answer.ts_recv_ns
    if answer.fault is None:
        outcome = replace_reply.decode_success(answer.result)
    else:
        halves = replace_reply.decode_failure(answer.fault, answer.error_data)
        if halves is None:
            if answer.fault.outcome not in DEFINITE or answer.fault.code in _HALVES:
                return unknown(asked, answer.fault.text)
            return [
                cancel_reject(asked, answer.fault, ts_recv_ns),
                reject(asked.new_client_order_id, asked.instrument_id, answer.fault, ts_recv_ns),
            ]
        outcome = halves
    made: list[Input] = []
    cancel, placement = outcome.cancel, outcome.placement
    if cancel.row is not None:
        made.append(VenueReport(reader.canceled(cancel.row, ts_recv_ns)))
    elif cancel.fault is not None and cancel.fault.outcome in DEFINITE:
        made.append(cancel_reject(asked, cancel.fault, ts_recv_ns))
    else:
        why = "no answer" if cancel.fault is None else cancel.fault.text
        made.append(OutcomeUnknown(asked.client_order_id, asked.instrument_id, "replace", why))
    new_id = asked.new_client_order_id
    if placement.row is not None:
        made.append(VenueReport(reader.placed(placement.row, ts_recv_ns)))
    elif placement.fault is not None and placement.fault.outcome in DEFINITE:
        made.append(reject(new_id, asked.instrument_id, placement.fault, ts_recv_ns))
    else:
        why = "no answer" if placement.fault is None else placement.fault.text
        made.append(OutcomeUnknown(new_id, asked.instrument_id, "place", why))
    return made

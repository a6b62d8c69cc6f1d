"""The decision as an artifact: JSON and its Markdown twin with the same figures."""

from datetime import datetime

import msgspec

from evidence.gates.artifact import bullets
from evidence.promotion.campaign import CampaignSession
from evidence.promotion.policy import Policy
from evidence.promotion.promotion_decision import REHEARSAL, Judgement
from evidence.read.artifact_times import format_time
from evidence.read.json_inputs import JsonObject

STEM = "promotion_decision"
LIMITS = (
    "A testnet pass is evidence about controls, not about profit or fill quality.",
    "The statistical bound speaks of sessions like those tried, on the venue of those tried.",
)


def decision_value(judgement: Judgement, policy: Policy, now: datetime) -> JsonObject:
    """The artifact's JSON value."""
    return {
        "decision": judgement.decision,
        "label": REHEARSAL if judgement.is_rehearsal else "",
        "rehearsal": judgement.is_rehearsal,
        "generated_at": format_time(now),
        "reasons": [
            {"level": reason.level.name, "code": reason.code, "text": reason.text}
            for reason in judgement.reasons
        ],
        "binding": judgement.binding,
        "sessions": [_session(one, judgement) for one in judgement.campaign],
        "not_counted": [
            {"session_id": session_id, "why": why} for session_id, why in judgement.not_counted
        ],
        "explained": judgement.explained,
        "statistics": judgement.statistics,
        "gates": [
            {"gate": gate.stem, "light": gate.light.value, "age_hours": _rounded(gate.age),
             "detail": gate.detail}
            for gate in judgement.gates
        ],
        "drills": [
            {"drill": run.name, "passed": run.passed, "ts_ns": run.ts_ns}
            for run in judgement.drills.values()
        ],
        "anchored_by": judgement.anchored_by,
        "policy": {**msgspec.to_builtins(policy), "sha256": policy.digest()},
        "limits": list(LIMITS),
    }  # fmt: skip


def _session(session: CampaignSession, judgement: Judgement) -> JsonObject:
    return {
        "session_id": session.session_id,
        "journal": session.journal,
        "mode": session.mode,
        "qualifies": session in judgement.qualifying,
        "minutes": session.minutes,
        "orders": session.orders,
        "fills": session.fills,
        "errors": len(session.errors),
        "anomalies": len(session.anomalies),
        "end": session.end,
    }


def _rounded(age: float | None) -> float | None:
    return None if age is None else round(age, 2)


def decision_markdown(value: JsonObject) -> list[str]:
    """The artifact's Markdown twin. Every heading of a rehearsal says REHEARSAL."""
    mark = f"{REHEARSAL} · " if value["rehearsal"] else ""
    statistics, binding = value["statistics"], value["binding"]
    if not isinstance(statistics, dict) or not isinstance(binding, dict):
        raise TypeError("not a value of decision_value")
    return [
        f"# {mark}Promotion Decision",
        "",
        f"- decision: **{value['decision']}**",
        f"- generated_at: {value['generated_at']}",
        "",
        f"## {mark}Why",
        "",
        *bullets(f"{one['level']} {one['code']}: {one['text']}" for one in _rows(value, "reasons")),
        "",
        f"## {mark}Sessions",
        "",
        "| session | mode | qualifies | minutes | orders | fills | errors | anomalies | end |",
        "|---|---|---|---:|---:|---:|---:|---:|---|",
        *(
            f"| {one['session_id']} | {one['mode']} | {'yes' if one['qualifies'] else 'no'} | "
            f"{one['minutes']} | {one['orders']} | {one['fills']} | {one['errors']} | "
            f"{one['anomalies']} | {one['end']} |"
            for one in _rows(value, "sessions")
        ),
        "",
        f"## {mark}Not Counted",
        "",
        *bullets(f"{one['session_id']}: {one['why']}" for one in _rows(value, "not_counted")),
        "",
        f"## {mark}Bound To",
        "",
        *bullets(f"{name}: {text}" for name, text in sorted(binding.items())),
        "",
        f"## {mark}What It Says",
        "",
        f"- {statistics['words']}",
        *(
            f"- bot {name}: {one['orders']} orders, {one['orders_filled']} with fills, "
            f"{one['denied']} denials; {one['signed']} of {one['requests']} requests are signed"
            for name, one in statistics.get("bots", {}).items()
        ),
        *(f"- {limit}" for limit in LIMITS),
        "",
        f"## {mark}Gates",
        "",
        *bullets(
            f"{one['gate']}: {one['light']}" + (f" ({one['detail']})" if one["detail"] else "")
            for one in _rows(value, "gates")
        ),
        "",
        f"## {mark}Drills",
        "",
        *bullets(
            f"{one['drill']}: {'passed' if one['passed'] else 'FAILED'}"
            for one in _rows(value, "drills")
        ),
        "",
        f"## {mark}Explained",
        "",
        *bullets(_texts(value, "explained")),
    ]


def _rows(value: JsonObject, key: str) -> list[dict[str, object]]:
    items = value[key]
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _texts(value: JsonObject, key: str) -> list[str]:
    items = value[key]
    return [str(item) for item in items] if isinstance(items, list) else []

"""Every check that `seatrial doctor` and `seatrial preflight` make: what it asks, and the mend.

Rules of this file:
1. A check has a name of this list or is none; `docs/CHECKS.md` is made of it.
2. The mend stands here. Only a check that knows better what to mend says so itself.
"""

from dataclasses import dataclass

DOCTOR, PREFLIGHT = "doctor", "preflight"
_NETWORK = "check network, DNS, firewall, and that the venue is not in maintenance"
_KEY = (
    "make a key on this environment's own page and put it into the credentials file; "
    "a live key or another environment's key never works here"
)


@dataclass(frozen=True, slots=True)
class CheckWords:
    """One row of the list: the command that makes the check, its question, and the mend."""

    made_by: str
    asks: str
    mend: str


CHECKS: dict[str, CheckWords] = {
    "config": CheckWords(DOCTOR, "is the configuration valid", "mend the lines that it names"),
    "state": CheckWords(
        DOCTOR,
        "do journal, anchors and identity of the state directory agree",
        "set this machine's clock right; if the journal's was wrong: "
        "seatrial state accept --config FILE --reason WHY",
    ),
    "strategy": CheckWords(
        DOCTOR,
        "can each strategy's class be imported, and does it take its parameters",
        "mend [strategies] in the configuration, or the file of the class",
    ),
    "notify": CheckWords(
        DOCTOR,
        "can Apprise read each url of [notify]; with --send, does each service take a message",
        "mend notify.urls, or the file that notify.urls_file names",
    ),
    "anchors": CheckWords(
        DOCTOR,
        "can anchors leave this box: are the sinks reachable, and not blocked by the unit",
        "see docs/ANCHORS.md",
    ),
    "hosts": CheckWords(
        DOCTOR,
        "do all three addresses belong to the environment",
        "use the addresses of this environment; live hosts cannot be configured",
    ),
    "reachable": CheckWords(DOCTOR, "does the venue answer", _NETWORK),
    "clock": CheckWords(
        DOCTOR,
        "is this machine's clock right, and the venue near enough",
        "set the clock and keep it set: systemctl enable --now systemd-timesyncd",
    ),
    "symbols": CheckWords(
        DOCTOR, "does the venue list and trade every symbol", "correct `symbols` in the config"
    ),
    "key": CheckWords(DOCTOR, "does the venue know the key and its signature", _KEY),
    "account": CheckWords(DOCTOR, "may the account trade", "the account is blocked: ask the venue"),
    "withdrawal": CheckWords(DOCTOR, "what does the account say of withdrawals", ""),
    "valuation": CheckWords(
        DOCTOR,
        "has everything that trading will bring a price in the numeraire",
        "declare a path in [caps.conversions], over venue.symbols",
    ),
    "order test": CheckWords(
        DOCTOR,
        "may the key trade, by an order that the venue tests and does not place",
        "enable spot trading for this key on the environment's own page",
    ),
    "user data": CheckWords(DOCTOR, "can order entry connect, and user data be had", _NETWORK),
    "market data": CheckWords(DOCTOR, "do the market streams connect", _NETWORK),
    "preflight": CheckWords(DOCTOR, "were all steps done in time", _NETWORK),
    "stability_gate": CheckWords(
        PREFLIGHT,
        "is the stability gate green and fresh",
        "let the scheduled smoke runs pass, then `seatrial gate stability`",
    ),
    "live_readiness_scorecard": CheckWords(
        PREFLIGHT,
        "is the live readiness scorecard GO and fresh",
        "mend what it names, then `seatrial gate live-readiness`",
    ),
    "shadow_testnet_scorecard": CheckWords(
        PREFLIGHT,
        "is the shadow/testnet scorecard READY_FOR_TESTNET and fresh",
        "mend what it names, then `seatrial gate shadow-testnet`",
    ),
    "live_dryrun_checklist": CheckWords(
        PREFLIGHT,
        "is the dry-run checklist ok and fresh",
        "run the drills, then `seatrial gate dry-run --drills JOURNAL`",
    ),
    "kill_switch_drill": CheckWords(
        PREFLIGHT,
        "did the kill switch work when it was tried last, lately and on this venue",
        "run the kill drill: `seatrial drill kill-switch`, then `seatrial re-arm`",
    ),
    "kill_switch_reachable": CheckWords(
        PREFLIGHT,
        "does the daemon answer on its socket",
        "start the daemon: `systemctl start seatriald@NAME`",
    ),
    "daemon_ready": CheckWords(
        PREFLIGHT,
        "is the gate READY, the latch open, every incident resolved, the journal written",
        "see `seatrial status`",
    ),
    "daemon_config": CheckWords(
        PREFLIGHT,
        "does the daemon run on this very configuration",
        "restart the daemon, or name its own configuration",
    ),
    "credentials_separate": CheckWords(
        PREFLIGHT,
        "does the key stand in none of the live key files that were named",
        "make a key of its own on the testnet's own page",
    ),
    "live_blocked": CheckWords(
        PREFLIGHT,
        "are all hosts the environment's own, is live neither enabled nor armed, do the drills "
        "of the gating refuse",
        "use the environment's own hosts",
    ),
    "caps_strict": CheckWords(
        PREFLIGHT,
        "is every cap of the launch procedure set for every symbol, and none unlimited",
        "set them in [caps]; `seatrial caps explain --config FILE`",
    ),
    "trial": CheckWords(
        PREFLIGHT,
        "has the bot's present version passed each course of [trials] required",
        "run `seatrial trial` with the bot's command",
    ),
}


@dataclass(slots=True)
class Check:
    """What one check found.

    `hours_max` is the age in hours at which it is stale; None: it does not age.

    Raises:
        KeyError: the name is not in the list.
    """

    name: str
    ok: bool
    sentence: str
    mend: str = ""
    """What to do; empty when `ok`."""
    age_hours: float | None = None
    hours_max: int | None = None

    def __post_init__(self) -> None:
        words = CHECKS[self.name]
        self.mend = "" if self.ok else self.mend or words.mend


def passed(name: str, sentence: str) -> Check:
    """All is well, and this is what was seen."""
    return Check(name, ok=True, sentence=sentence)


def failed(name: str, sentence: str, mend: str = "") -> Check:
    """Something is to be mended; without `mend` as the list says."""
    return Check(name, ok=False, sentence=sentence, mend=mend)

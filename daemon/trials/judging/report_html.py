"""The report as one HTML page that needs nothing else: no script, no font, no other file."""

from collections.abc import Sequence
from html import escape

from daemon.trials.judging.trial_report import RunFacts, TrialRow, counts_of, sentence_of
from daemon.trials.judging.trial_verdict import TrialOutcome

_STYLE = """
:root {
  color-scheme: light dark;
  --line: #8884;
  --soft: #8881;
}
body {
  font: 15px/1.5 system-ui, sans-serif;
  max-width: 70rem;
  margin: 2rem auto;
  padding: 0 1rem;
}
h1 {
  font-size: 1.5rem;
  margin-bottom: .25rem;
}
.verdict {
  font-size: 1.1rem;
  padding: .6rem .9rem;
  border-left: .4rem solid;
  background: var(--soft);
}
dl {
  display: grid;
  grid-template-columns: max-content 1fr;
  gap: .2rem 1rem;
}
dt {
  opacity: .7;
}
dd {
  margin: 0;
  overflow-wrap: anywhere;
}
table {
  border-collapse: collapse;
  width: 100%;
}
th {
  text-align: left;
}
td, th {
  padding: .5rem;
  border-bottom: 1px solid var(--line);
  vertical-align: top;
}
td:first-child {
  white-space: nowrap;
  font-weight: 600;
}
.tag {
  white-space: nowrap;
  font-weight: 700;
  font-size: .8rem;
  padding: .15rem .5rem;
  border-radius: .3rem;
}
.PASS {
  background: #1a7f3722;
  color: #1a7f37;
  border-color: #1a7f37;
}
.FINDING {
  background: #cf222e22;
  color: #cf222e;
  border-color: #cf222e;
}
.NOT-SHOWN {
  background: #9a670022;
  color: #9a6700;
  border-color: #9a6700;
}
.MET-BY-THE-GATE {
  background: #0969da22;
  color: #0969da;
  border-color: #0969da;
}
.NOT-APPLICABLE {
  background: #8883;
  color: inherit;
  opacity: .7;
}
pre {
  background: var(--soft);
  padding: .6rem;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
  font-size: .8rem;
  margin: .4rem 0;
}
details {
  margin-top: .3rem;
}
summary {
  cursor: pointer;
  opacity: .8;
  font-size: .85rem;
}
.small {
  font-size: .85rem;
  opacity: .8;
}
footer {
  margin-top: 2rem;
  font-size: .85rem;
  opacity: .8;
}
"""
_MEANINGS = {
    TrialOutcome.PASS: "The bot did what the trial asks, by the venue's own ledger.",
    TrialOutcome.FINDING: "The ledger shows that it did not. The lines that show it stand below.",
    TrialOutcome.NOT_SHOWN: "The bot did nothing that could show it. Neither good nor bad.",
    TrialOutcome.MET_BY_GATE: "The gate met the fault in the bot's place: the bot heard nothing of "
    "it, doubled nothing and traded on; or the gate stopped trading and denied the bot. The lines "
    "that show it stand below.",
    TrialOutcome.NOT_APPLICABLE: "The trial has no meaning in this run.",
}


def as_html(facts: RunFacts, rows: Sequence[TrialRow]) -> str:
    """The whole page."""
    counts = counts_of(rows)
    worst = next(
        (one for one in (TrialOutcome.FINDING, TrialOutcome.NOT_SHOWN) if counts[one]),
        TrialOutcome.PASS,
    )
    meanings = "".join(
        f"<dt>{_tag(outcome)} {counts[outcome]}</dt><dd>{escape(words)}</dd>"
        for outcome, words in _MEANINGS.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>seatrial trial: {escape(facts.course)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>Trials of a trading bot: course “{escape(facts.course)}”</h1>"
        f'<p class="verdict {_class(worst)}">{escape(sentence_of(rows))}</p>'
        "<p>The bot ran against a simulated exchange. In each trial something was done to it that "
        "happens on real exchanges. What it did was judged by the exchange's own books and by the "
        "requests that reached it, never by what the bot says of itself.</p>"
        f"<dl>{meanings}</dl>{_facts(facts)}"
        "<h2>Trials</h2><table><thead><tr><th>Trial</th><th>Outcome</th>"
        "<th>What was done, and what the ledger shows</th></tr></thead><tbody>"
        f"{''.join(_row(row) for row in rows)}</tbody></table>"
        "<footer>Seconds in evidence lines count from the first deed of the trial. The whole "
        "ledger of the venue and the bot's own log lie beside this page.</footer></body></html>\n"
    )


def _facts(facts: RunFacts) -> str:
    network = "loopback only" if facts.loopback_only else "the machine's own network was allowed"
    pairs = {
        "Command": " ".join(facts.command),
        "Bot version": f"{facts.bot_version} (hash; files: {len(facts.files)})",
        "Run": f"{facts.started}, {facts.seconds:.0f} seconds, seed {facts.seed}, {facts.symbol}",
        "How": f"{facts.mode}; {network}; seatrial {facts.seatrial}, Python {facts.python}",
        "Kept from the bot": ", ".join(facts.environment_taken) or "no variable looked like a key",
    }
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in pairs.items())
    return f"<h2>The run</h2><dl>{rows}</dl>"


def _row(row: TrialRow) -> str:
    trial, verdict = row.trial, row.verdict
    required = "" if trial.required else '<div class="small">not required</div>'
    notes = "".join(f'<div class="small">Note: {escape(note)}</div>' for note in row.notes)
    evidence = ""
    if verdict.evidence:
        is_open = " open" if verdict.outcome is TrialOutcome.FINDING else ""
        lines = escape("\n".join(verdict.evidence))
        evidence = f"<details{is_open}><summary>Evidence</summary><pre>{lines}</pre></details>"
    measures = ""
    if verdict.measures:
        told = ", ".join(f"{name} {value}" for name, value in verdict.measures.items())
        measures = f"<details><summary>Measured</summary>{escape(told)}</details>"
    return (
        f"<tr><td>{escape(trial.name)}{required}</td><td>{_tag(verdict.outcome)}"
        f'<div class="small">{row.seconds:.0f} s</div></td>'
        f"<td><strong>{escape(_capital(verdict.because))}</strong>{notes}"
        f'<div class="small">Done to it: {escape(trial.does)}</div>'
        f'<div class="small">Must be seen: {escape(trial.must)}</div>'
        f'<div class="small">Stands for: {escape(trial.stands_for)}</div>'
        f"{evidence}{measures}</td></tr>"
    )


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _tag(outcome: TrialOutcome) -> str:
    return f'<span class="tag {_class(outcome)}">{outcome}</span>'


def _class(outcome: TrialOutcome) -> str:
    return str(outcome).replace(" ", "-")

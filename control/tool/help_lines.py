"""What `seatrial --help` says of each command, in one line that 80 columns hold.

It stands apart from the commands, so that showing it imports none of them. The commands' own help
says more; this text stands nowhere else.
"""

from collections.abc import Mapping

SAYINGS: Mapping[str, str] = {
    "bot": "Bots behind the gateway: keys, states, client snippets",
    "cancel-all": "Cancel our open orders; nothing is latched",
    "caps": "Every cap with its use; `caps set`, `caps explain`",
    "completion": "Print the completion script of a shell",
    "demo": "Run a whole session against a simulated venue, with a verdict",
    "doctor": "Check a configuration against its venue; nothing is placed",
    "drill": "Try kill, caps, disconnect, rate limit, reconcile and gating",
    "evidence": "The independent accountant: report, verify, recheck, pack",
    "explain": "Attach a reason to a line of the journal, as to an error",
    "flatten": "Close positions in slices within the caps; say what is left",
    "gate": "The launch gates: each reads artifacts and decides",
    "gating": "The keys of a live host: drills, confirm tokens",
    "incident": "Incidents: list, show, note, resolve",
    "init": "Write a configuration, step by step or from options",
    "journal": "The journal: search its lines; its size, packing, an archive",
    "keys": "Make a key on this box, store it, see where it comes from",
    "kill": "Stop now, latch, cancel everything of ours, verify",
    "notify": "Messages to people: try the services of [notify]",
    "ops-status": "Step 0 of the launch: version control, artifacts, decision",
    "order": "One order's whole life, from the journal's files",
    "orders": "Every open order",
    "positions": "Every position",
    "preflight": "May a session start? One list of all that stands against it",
    "promote": "Decide promotion over sessions and their venue's books",
    "re-arm": "Open the kill latch",
    "re-enable": "Let strategies send again after a cap has disabled them",
    "reconcile": "Compare our books with the venue's now",
    "rpc": "The control protocol itself",
    "shutdown": "End the daemon in order: stop the session, cancel, exit 0",
    "sim": "Run a simulated exchange that speaks Binance Spot's protocol",
    "start": "Start a session: strategies may send orders, within the caps",
    "state": "The state directory: prove that its parts agree, or accept it",
    "status": "State, latch, incidents, orders, caps on one screen",
    "stop": "End the session in order: no new orders, cancel, reconcile",
    "strategy": "A strategy of your own: new, check, run",
    "tail": "Follow the journal as it is written; older lines from files",
    "trial": "Put any bot through a course of faults, judged by the ledger",
    "up": "A simulated venue, a box, a session and the screen, till Ctrl-C",
    "watch": "The daemon on one live screen; k kills, c cancels all",
    "witness": "Countersign the journals of other boxes: serve, show, export",
}

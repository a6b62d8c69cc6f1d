"""`python -m evidence.producer`: PR-BG, execution evidence from events.

What it does stands in `evidence.gates.event_producer`.
"""

from evidence.gates.event_producer import produce

if __name__ == "__main__":
    produce()

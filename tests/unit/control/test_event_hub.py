"""What watchers are shown of the journal."""

from control.protocol import LINE_BYTES_MAX
from control.server.line_events import EventHub


def test_a_checkpoint_is_no_news() -> None:
    hub = EventHub()
    wakes: list[int] = []
    hub.attach(lambda: wakes.append(1))
    longest = b"x" * LINE_BYTES_MAX
    for line in (b"first", longest + b"x", longest):
        hub.publish(line)
    assert hub.recent(10) == [b"first", longest]
    assert hub.drain() == ([b"first", longest], 0)
    assert wakes == [1]

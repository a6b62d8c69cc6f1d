"""Who hears which stream, and whose book is followed."""

from collections.abc import Collection

from daemon.shell.gateway.stream_hub import BotStreamHub
from daemon.venues.binance_spot.serving.stream_control import StreamSession

SYMBOLS = ("BTCUSDT", "ETHUSDT")


class Source:
    def __init__(self) -> None:
        self.wanted: list[list[str]] = []
        self.waited_for: list[list[str]] = []

    def want(self, names: Collection[str]) -> None:
        self.wanted.append(sorted(names))

    async def confirmed(self, names: Collection[str]) -> None:
        self.waited_for.append(sorted(names))

    async def run(self, on_frame: object, on_lost: object) -> None:
        raise AssertionError


class Connection:
    def send(self, frame: bytes, now_ns: int) -> None:
        raise AssertionError(frame)


async def test_a_book_is_followed_by_its_differences_alone() -> None:
    source = Source()
    hub = BotStreamHub(source, SYMBOLS, lambda: 1)
    session = StreamSession(combined=True)
    names = ["btcusdt@depth@100ms", "btcusdt@trade", "ethusdt@depth20"]
    hub.opened(session, Connection(), names)  # type: ignore[arg-type]
    assert source.wanted == [sorted(names)]
    assert await hub.follows_book("BTCUSDT")
    assert not await hub.follows_book("ETHUSDT")
    assert not await hub.follows_book("")
    assert source.waited_for == [["btcusdt@depth@100ms"]]
    hub.closed(session)
    assert not await hub.follows_book("BTCUSDT")

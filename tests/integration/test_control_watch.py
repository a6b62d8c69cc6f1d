"""`seatrial watch` on an 80 by 24 screen, against a served fake daemon; once in a real terminal."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from control.tool.watch_screen import WatchScreen
from daemon.model.effects import Reply
from tests.support.control_port import SNAPSHOT, FakePort
from tests.support.control_server import DEADLINE_S, serving

SIZE = (80, 24)
ROOT = Path(__file__).parents[2]


def screen_of(app: WatchScreen) -> str:
    """What a person sees, as text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)


async def until(pause: Callable[..., Awaitable[None]], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not show in time"
        await pause(0.02)


async def shown(pilot: Pilot[None], app: WatchScreen, *texts: str, without: str = "\0") -> str:
    """The screen that has all of the texts: its panes are drawn one after the other."""

    def has_all() -> bool:
        screen = screen_of(app)
        return all(text in screen for text in texts) and without not in screen

    try:
        await until(pilot.pause, has_all)
    except AssertionError as error:
        missing = [text for text in texts if text not in screen_of(app)]
        raise AssertionError(f"{missing} or {without!r} at the end:\n{screen_of(app)}") from error
    return screen_of(app)


def event(seq: int, kind: str, **fields: Any) -> bytes:
    line = {"seq": seq, "ts": "2026-01-02T03:04:05.678901Z", "event_type": kind, **fields}
    return json.dumps(line, separators=(",", ":")).encode()


async def test_one_screen_shows_state_caps_orders_and_events(tmp_path: Path) -> None:
    port = FakePort()
    port.hub.publish(event(1, "fill", symbol="BTCUSDT", side="BUY", qty="0.5", price="61000"))
    with serving(tmp_path, port) as path:
        app = WatchScreen(path, poll_s=0.2)
        async with app.run_test(size=SIZE) as pilot:
            screen = await shown(
                pilot, app, "ACTIVE", "READY", "gross_exposure", "95%", "stabcdef-1-1",
                "fill", "KILL", "INCIDENT i-2",
            )  # fmt: skip
            assert max(len(line) for line in screen.splitlines()) <= 80
            port.snapshot = {**SNAPSHOT, "trading_state": "HALTED", "latched": True}
            port.hub.publish(event(2, "kill", step="latched", by="ada"))
            await shown(pilot, app, "KILL LATCHED", "step=latched")


async def test_k_asks_back_and_kills_with_a_reason(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        app = WatchScreen(path, poll_s=0.2)
        async with app.run_test(size=SIZE) as pilot:
            await shown(pilot, app, "ACTIVE")
            await pilot.press("k")
            await shown(pilot, app, "verify at the venue?")
            assert port.kills == []
            await pilot.press(*"too wide", "enter")
            await shown(pilot, app, "verified empty 12.0 ms")
    ((actor, reason),) = port.kills
    assert reason == "too wide"
    assert actor.uid == os.getuid()


async def test_a_kill_that_nobody_answers_shows_the_other_road(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen(8)
        app = WatchScreen(path, poll_s=0.2)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.press("k")
            await shown(pilot, app, "verify at the venue?")
            await pilot.press("enter")
            command = "seatrial kill --direct --config"
            await until(pilot.pause, lambda: command in " ".join(screen_of(app).split()))
            assert "NO ANSWER TO THE KILL" in await shown(pilot, app, "NO ANSWER TO THE KILL")


async def test_escape_kills_nothing(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        app = WatchScreen(path, poll_s=0.2)
        async with app.run_test(size=SIZE) as pilot:
            await shown(pilot, app, "ACTIVE")
            for key in ("k", "c"):
                await pilot.press(key)
                await shown(pilot, app, "Escape: back")
                await pilot.press("x", "escape")
                await shown(pilot, app, without="Escape: back")
    assert port.kills == []
    assert port.commands == []


async def test_c_asks_back_and_cancels_all(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        app = WatchScreen(path, poll_s=0.2)
        async with app.run_test(size=SIZE) as pilot:
            await shown(pilot, app, "ACTIVE")
            await pilot.press("c")
            await shown(pilot, app, "Nothing is latched")
            await pilot.press("enter")
            await shown(pilot, app, "cancel-all done")
    (command,) = port.commands
    assert (command.method, command.reason) == ("cancel-all", "from watch")


async def test_a_refusal_is_shown(tmp_path: Path) -> None:
    port = FakePort()
    port.reply = lambda command: Reply(
        command_id=command.command_id, error_code="no", error_message="not today"
    )
    with serving(tmp_path, port) as path:
        app = WatchScreen(path, poll_s=0.2)
        async with app.run_test(size=SIZE) as pilot:
            await shown(pilot, app, "ACTIVE")
            await pilot.press("c")
            await shown(pilot, app, "Nothing is latched")
            await pilot.press("enter")
            assert "REFUSED: not today" in await shown(pilot, app, "REFUSED: not today")


async def test_a_daemon_that_goes_is_said_and_what_is_shown_is_old(tmp_path: Path) -> None:
    with contextlib.ExitStack() as daemon:
        app = WatchScreen(daemon.enter_context(serving(tmp_path)), poll_s=0.2)
        async with app.run_test(size=SIZE) as pilot:
            await shown(pilot, app, "ACTIVE")
            daemon.close()
            screen = await shown(pilot, app, "NO ANSWER", "what is shown is old", "last heard: ")
            assert screen.splitlines()[0].lstrip().startswith("NO ANSWER"), screen
            assert "last heard: ACTIVE, gate READY" in screen.splitlines()[0]


async def test_without_a_daemon_it_says_so_and_finds_it_when_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    app = WatchScreen(path, poll_s=0.2)
    async with app.run_test(size=SIZE) as pilot:
        await shown(pilot, app, "NO ANSWER")
        with serving(tmp_path):
            assert "NO ANSWER" not in await shown(pilot, app, "ACTIVE", without="NO ANSWER")


def test_a_picture_of_it(tmp_path: Path) -> None:
    with serving(tmp_path) as path:
        WatchScreen(path, poll_s=0.2).picture(tmp_path / "watch.svg", after_s=0.6)
    drawn = (tmp_path / "watch.svg").read_text(encoding="utf-8")
    assert drawn.startswith("<svg")
    assert "ACTIVE" in drawn
    assert "gross_exposure" in drawn
    assert set(re.findall(r"url\(|@import|href=\"http", drawn)) <= {"url("}
    assert not re.search(r"url\([\"']?http", drawn), "it fetches nothing from elsewhere"


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_in_a_real_terminal(tmp_path: Path) -> None:
    """tmux is the terminal: keys go in, the screen comes out, as over ssh."""
    port = FakePort()
    tmux = ["tmux", "-L", f"seatrial-{os.getpid()}", "-f", "/dev/null"]

    def pane() -> str:
        out = subprocess.run(
            [*tmux, "capture-pane", "-p", "-t", "watch"],
            capture_output=True,
            text=True,
            check=False,
        )
        return out.stdout

    def see(text: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while text not in pane():
            assert time.monotonic() < deadline, f"{text!r} did not appear in:\n{pane()}"
            time.sleep(0.05)

    with serving(tmp_path, port) as path:
        subprocess.run(
            [*tmux, "new-session", "-d", "-s", "watch", "-x", "80", "-y", "24",
             sys.executable, "-m", "control.main", "--socket", str(path), "watch"],
            check=True, cwd=ROOT, env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        try:
            see("ACTIVE")
            see("gross_exposure")
            assert len(pane().splitlines()) <= 24
            subprocess.run([*tmux, "send-keys", "-t", "watch", "k"], check=True)
            see("Escape: back")
            subprocess.run([*tmux, "send-keys", "-t", "watch", "storm", "Enter"], check=True)
            see("verified empty 12.0 ms")
            assert port.kills[0][1] == "storm"
            subprocess.run([*tmux, "send-keys", "-t", "watch", "q"], check=True)
            deadline = time.monotonic() + DEADLINE_S
            while (
                subprocess.run([*tmux, "has-session"], capture_output=True, check=False).returncode
                == 0
            ):
                assert time.monotonic() < deadline, "q did not end it"
                time.sleep(0.05)
        finally:
            subprocess.run([*tmux, "kill-server"], capture_output=True, check=False)


def many_events(port: FakePort, count: int) -> None:
    for number in range(1, count + 1):
        symbol = "ETHUSDT" if number % 10 == 0 else "BTCUSDT"
        port.hub.publish(event(number, "fill", symbol=symbol, side="BUY", qty=f"0.{number:03d}"))


async def test_events_are_filtered_by_words_and_shown_whole_again(tmp_path: Path) -> None:
    port = FakePort()
    many_events(port, 60)
    with serving(tmp_path, port) as path:
        app = WatchScreen(path, poll_s=0.2)
        async with app.run_test(size=SIZE) as pilot:
            await shown(pilot, app, "0.060")
            await pilot.press("slash")
            await shown(pilot, app, "all of these words")
            await pilot.press(*"fill ethusdt", "enter")
            await shown(pilot, app, "events with", "6 · following")

            def are_all_eth() -> bool:
                fills = [line for line in screen_of(app).splitlines() if " fill " in line]
                return bool(fills) and all("ETHUSDT" in line for line in fills)

            await until(pilot.pause, are_all_eth)
            await pilot.press("escape")
            await shown(pilot, app, "60 · following")
    assert (port.kills, port.commands) == ([], [])


async def test_scrolled_back_events_stay_while_others_come(tmp_path: Path) -> None:
    port = FakePort()
    many_events(port, 60)
    with serving(tmp_path, port) as path:
        app = WatchScreen(path, poll_s=0.2)
        async with app.run_test(size=SIZE) as pilot:
            await shown(pilot, app, "0.060")
            await pilot.press("up", "up")
            screen = await shown(pilot, app, "2 back", "0.058", without="0.059")
            assert "0.058" in screen
            assert "0.059" not in screen
            port.hub.publish(event(61, "fill", symbol="BTCUSDT", side="BUY", qty="0.061"))
            screen = await shown(pilot, app, "3 back", "0.058", without="0.061")
            assert "0.058" in screen
            assert "0.061" not in screen
            for _ in range(40):
                await pilot.press("pageup")
            await shown(pilot, app, "0.001")
            await pilot.press("end")
            await shown(pilot, app, "0.061")


async def test_incidents_denials_and_help_have_keys(tmp_path: Path) -> None:
    port = FakePort()
    port.snapshot = {**SNAPSHOT, "denied": {"order_qty": 7, "self_trade": 12}}
    denied = {"deny_reason": "self_trade", "strategy_id": "quoter", "symbol": "BTCUSDT"}
    port.hub.publish(event(1, "order_denied", **denied))
    with serving(tmp_path, port) as path:
        app = WatchScreen(path, poll_s=0.2)
        async with app.run_test(size=SIZE) as pilot:
            await shown(pilot, app, "ACTIVE")
            await pilot.press("i")
            await shown(pilot, app, "seatrial incident show i-2")
            await pilot.press("d")
            lower = await shown(
                pilot,
                app,
                "12 self_trade",
                "7 order_qty",
                "03:04:05 self_trade quoter",
                "─denials─",
            )
            assert lower.index("12 self_trade") < lower.index("7 order_qty")
            await pilot.press("question_mark")
            await shown(pilot, app, "back and forth in the events")
            await pilot.press("escape")
            await shown(pilot, app, without="back and forth")


async def test_a_wide_screen_shows_all_panes_and_the_clock(tmp_path: Path) -> None:
    port = FakePort()
    port.snapshot = {**SNAPSHOT, "denied": {"order_qty": 7}}
    many_events(port, 5)
    with serving(tmp_path, port) as path:
        app = WatchScreen(path, poll_s=0.2)
        async with app.run_test(size=(120, 40)) as pilot:
            screen = await shown(
                pilot, app, "0.005", "events", "incidents", "denials", "7 order_qty",
                "incident show i-2",
            )  # fmt: skip
            assert re.search(r"\d\d:\d\d:\d\d UTC", screen)
            await pilot.resize_terminal(80, 24)
            screen = await shown(pilot, app, without="incidents ─")
            assert max(len(line) for line in screen.splitlines()) <= 80

"""Lies about runs and sessions (see liar_story.py)."""

import copy
import json

from tests.support.liar_story import NotHereError, Story, kept, lie, make_good

SECOND_NS = 10**9


# ---------------------------------------------------------------------- runs
@lie
def the_first_run_goes(told: Story) -> None:
    """The record begins with its second run."""
    starts = told.all("run_start")
    if len(starts) < 2:
        raise NotHereError("one run")
    del told.lines[: starts[1]]
    make_good(told)


@lie
def the_first_run_goes_and_the_others_move_up(told: Story) -> None:
    """The same, and the runs are numbered anew; their orders carry the old number."""
    the_first_run_goes(told)
    for run in told.of_kind("run_start"):
        run["run_number"] -= 1


@lie
def a_run_in_the_middle_goes(told: Story) -> None:
    """A run between two others is taken out."""
    starts = told.all("run_start")
    if len(starts) < 3:
        raise NotHereError("two runs")
    del told.lines[starts[1] : starts[2]]
    make_good(told)


@kept
def a_crash_was_an_orderly_end(told: Story) -> None:
    """A run that was killed in its session gets a stop line."""
    for place in told.all("run_start")[1:]:
        before = [line["event_type"] for line in told.lines[:place]]
        starts, stops = before.count("session_start"), before.count("session_stop")
        if starts > stops:
            end = {**copy.deepcopy(told.lines[-1]), "run_id": told.lines[place - 1]["run_id"]}
            told.lines.insert(place, {**end, "ts_ns": told.lines[place - 1]["ts_ns"]})
            make_good(told)
            return
    raise NotHereError("no crash within a session")


@lie
def a_run_ended_well(told: Story) -> None:
    """A run's stop line is taken out, and with it the proof that it ended."""
    del told.lines[told.last("run_stop")]


@lie
def a_run_is_told_twice(told: Story) -> None:
    """Two runs have one number."""
    starts = told.all("run_start")
    if len(starts) < 2:
        raise NotHereError("one run")
    told.lines[starts[1]]["run_number"] = told.lines[starts[0]]["run_number"]


@lie
def a_boot_found_a_shorter_journal(told: Story) -> None:
    """A boot says that it found fewer lines than stand before it."""
    place = told.last("recovery")
    told.lines[place]["from_seq"] = max(told.lines[place]["from_seq"] - 3, 1)


@lie
def a_recovery_goes(told: Story) -> None:
    """What a boot had to recover is taken out."""
    del told.lines[told.last("recovery")]


@lie
def another_boxs_run(told: Story) -> None:
    """A good run of another box stands in the record."""
    told.lines[told.last("run_start")]["instance"] = "zzz999"


# ---------------------------------------------------------------------- sessions
@lie
def a_session_goes(told: Story) -> None:
    """A session is taken out from its start to its stop."""
    start = told.first("session_start")
    stop = next(n for n in told.all("session_stop") if n > start)
    del told.lines[start : stop + 1]
    make_good(told)


@lie
def sessions_are_numbered_anew(told: Story) -> None:
    """The same, and the sessions after it are numbered anew."""
    places = told.all("session_start")
    run = told.lines[places[0]]["run_id"]
    if sum(told.lines[place]["run_id"] == run for place in places) < 2:
        raise NotHereError("no second session in the run")
    a_session_goes(told)
    text = json.dumps(told.lines)
    for number in range(2, 9):
        text = text.replace(f'"{run}-s{number}"', f'"{run}-s{number - 1}"')
    told.lines[:] = json.loads(text)


@lie
def two_sessions_become_one(told: Story) -> None:
    """The stop of a session and the start of the next are taken out."""
    stop = told.first("session_stop")
    later = [n for n in told.all("session_start") if n > stop]
    if not later:
        raise NotHereError("one session")
    del told.lines[later[0]], told.lines[stop]
    make_good(told)


@lie
def a_session_comes_twice(told: Story) -> None:
    """A session is told again under another name, later."""
    start, stop = told.first("session_start"), told.first("session_stop")
    if stop < start:
        raise NotHereError("no whole session first")
    copied = copy.deepcopy(told.lines[start : stop + 1])
    shift = told.lines[-1]["ts_ns"] - copied[0]["ts_ns"]
    name = copied[0]["session_id"]
    for line in copied:
        line["ts_ns"] += shift
        line["session_id"] = name.rpartition("-s")[0] + "-s9"
    told.lines[-1:-1] = copied
    told.lines[-1]["ts_ns"] = copied[-1]["ts_ns"]


@lie
def a_stop_had_another_reason(told: Story) -> None:
    """A session that an incident or a kill ended was stopped by its operator."""
    place = told.first("session_stop", reason=lambda r: r.startswith(("incident", "kill")))
    told.lines[place]["reason"] = "stop: end"


@lie
def a_session_lasted_longer(told: Story) -> None:
    """A session states that it lasted an hour more."""
    line = told.lines[told.last("session_stop")]
    line["duration_ms"] = int(line["duration_ms"]) + 3_600_000


@lie
def a_session_began_earlier(told: Story) -> None:
    """The start of a session, with the lines before it, is an hour earlier."""
    place = told.last("session_start")
    for line in told.lines[: place + 1]:
        line["ts_ns"] -= 3600 * SECOND_NS


@lie
def heartbeats_go(told: Story) -> None:
    """The heartbeats of a bad second are taken out."""
    places = told.all("heartbeat", session_id=lambda name: name != "")
    session = told.lines[places[0]]["session_id"]
    gone = {id(told.lines[n]) for n in places if told.lines[n]["session_id"] == session}
    if len(gone) < 6:
        raise NotHereError("a short session")
    told.take_out(lambda line: id(line) in gone)


@lie
def heartbeats_are_made(told: Story) -> None:
    """More heartbeats than time has room for."""
    start = told.last("session_start")
    place = next((n for n in told.all("heartbeat") if n > start), None)
    if place is None:
        raise NotHereError("no heartbeat in the session")
    told.lines[place:place] = [copy.deepcopy(told.lines[place]) for _ in range(60)]


@lie
def the_night_ends_early(told: Story) -> None:
    """The last quarter is cut off."""
    del told.lines[-len(told.lines) // 4 :]


@lie
def the_code_was_another(told: Story) -> None:
    """One session names another code than the run that it is in."""
    told.lines[told.last("session_start")]["code"] = "beef" * 16


@lie
def the_commit_was_another_in_one_run(told: Story) -> None:
    """One run and its sessions name another commit; the code's digest is that of the others."""
    starts = told.all("run_start")
    if len(starts) < 2:
        raise NotHereError("one run")
    name = told.lines[starts[-1]]["run_id"]
    for line in told.lines:
        if line["run_id"] == name and "commit" in line:
            line["commit"] = "5afe5afe"


@lie
def the_account_was_another(told: Story) -> None:
    """One session was on another account than its run."""
    told.lines[told.last("session_start")]["account"] = "acc9"


@lie
def a_session_in_the_simulator(told: Story) -> None:
    """One session of the simulator's is put among the testnet's."""
    name = told.lines[told.last("session_start")]["session_id"]
    for line in told.lines:
        if line["session_id"] == name:
            line["mode"] = "sim"

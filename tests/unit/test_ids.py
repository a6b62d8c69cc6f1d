"""Client order ids: one order each, whatever the counter, the kind, the build, the backup."""

from daemon.model.ids import (
    CLIENT_ORDER_ID_MAX_LENGTH,
    ClientOrderIdFactory,
    base36,
    cancel_id,
    is_lost,
    is_ours,
    own_id_of,
    parse_id,
    run_id,
    run_number_of,
)

ROOM_FOR_A_DIGEST = 16


def test_no_id_of_a_run_reads_as_another_orders() -> None:
    """Counters of all endings, 'c' and '0c' among them, in runs of all endings."""
    owner: dict[str, str] = {}
    for number in (1, 12, 35, 36, 12 * 36 + 12, 46_655, 46_656, 36**4):
        factory = ClientOrderIdFactory(run_id("abc123", number, "c0c"))
        for _ in range(4_000):
            own = factory.mint()
            canceled = cancel_id(own)
            assert canceled is not None
            for shown in (own, canceled):
                assert owner.setdefault(shown, own) == own
                assert own_id_of(shown) == own
                assert is_ours(shown, "abc123")
                assert len(shown) + ROOM_FOR_A_DIGEST - (number > 46_655) - (number >= 36**4) <= 36
            seen = parse_id(own)
            assert seen is not None
            assert (seen.run_number, seen.counter, seen.is_cancel) == (
                number,
                factory.counter,
                False,
            )


def test_ids_of_old_builds_are_read_rightly_at_every_counter() -> None:
    for run in (1, 12, 432):
        for counter in range(1, 2_000):
            own = f"stabc123-{base36(run)}-{base36(counter)}"
            assert own_id_of(own) == own
            assert own_id_of(f"{own}-c") == own
            assert cancel_id(own) == f"{own}-c"
            assert is_ours(own, "abc123")
            seen = parse_id(own)
            assert seen is not None
            assert (seen.run_number, seen.counter) == (run, counter)


def test_an_old_id_is_never_read_as_a_new_one() -> None:
    new = {ClientOrderIdFactory(run_id("abc123", n, "zzz")).mint() for n in range(1, 2_000)}
    assert all(parse_id(one).nonce == "zzz" for one in new)  # type: ignore[union-attr]
    assert parse_id("stabc123-c001000-00001").nonce == ""  # type: ignore[union-attr]


def test_what_no_seatrial_made_stays_as_it_is() -> None:
    for foreign in ("foreign-c", "strategy-c", "strategyc", "web_1", "st-c", "", "stabc123-c"):
        assert own_id_of(foreign) == foreign
        assert parse_id(foreign) is None
        assert not is_ours(foreign, "xyz789")


def test_the_same_run_number_twice_shares_no_id() -> None:
    """A restored identity counts a boot a second time: the nonce keeps the ids apart."""
    first, second = (ClientOrderIdFactory(run_id("abc123", 7, nonce)) for nonce in ("k3x", "a9q"))
    assert not {first.mint() for _ in range(500)} & {second.mint() for _ in range(500)}


def test_a_factory_goes_on_after_what_it_has_seen() -> None:
    run = run_id("abc123", 7, "k3x")
    ids = [ClientOrderIdFactory(run)]
    made = [ids[0].mint() for _ in range(40)]
    again = ClientOrderIdFactory(run)
    for one in made:
        again.saw(one)
    again.saw("stabc123-7-zzz")
    again.saw(ClientOrderIdFactory(run_id("abc123", 8, "k3x"), counter=900).mint())
    assert again.mint() == ids[0].mint()


def test_the_length_stays_within_the_venues_for_every_counter() -> None:
    factory = ClientOrderIdFactory(run_id("abc123", 36**5, "abc"), counter=36**5 - 2)
    assert len(factory.mint()) <= CLIENT_ORDER_ID_MAX_LENGTH


def test_a_later_order_than_the_newest_known_one_is_lost() -> None:
    known = ClientOrderIdFactory(run_id("abc123", 7, "k3x"), counter=5).mint()
    later = ClientOrderIdFactory(run_id("abc123", 7, "k3x"), counter=6).mint()
    next_run = ClientOrderIdFactory(run_id("abc123", 8, "aaa")).mint()
    assert is_lost(later, "abc123", known)
    assert is_lost(next_run, "abc123", known)
    assert is_lost(known, "abc123", "")
    assert is_lost(known, "abc123", "stabc123-6-zz")
    assert not is_lost(known, "abc123", known)
    assert not is_lost(known, "abc123", later)
    assert not is_lost(cancel_id(later) or "", "abc123", known)
    assert not is_lost(later, "other1", "")
    assert run_number_of("abc123-7-k3x") == run_number_of("abc123-7") == 7

"""Client order ids: one order each, whatever the counter, the kind, the build, the backup."""

import hashlib

import pytest

from daemon.model.ids import (
    AMEND_KIND,
    CANCEL_KIND,
    CLIENT_ORDER_ID_MAX_LENGTH,
    NO_DIGEST,
    REPLACE_KIND,
    STOP_KIND,
    ClientOrderId,
    ClientOrderIdFactory,
    base36,
    chain_digest,
    instance_of_order,
    is_lost,
    is_ours,
    later_of,
    own_id_of,
    parse_id,
    rank_of,
    request_id,
    run_id,
    run_number_of,
    stem_of,
    without_digest,
)
from evidence.read.order_ids import read_id, run_of

REQUESTS = (CANCEL_KIND, REPLACE_KIND, AMEND_KIND, STOP_KIND)


def head_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_no_id_of_a_run_reads_as_another_orders() -> None:
    """Counters of all endings, 'c' and '0c' among them, in runs of all endings."""
    owner: dict[str, str] = {}
    for number in (1, 12, 35, 36, 12 * 36 + 12, 46_655, 46_656, 36**5 - 1):
        factory = ClientOrderIdFactory(run_id("abc123", number, "c0c"))
        for turn in range(2_000):
            factory.head = head_of(f"line {turn}")
            own = factory.mint()
            factory.head = head_of(f"a later line {turn}")
            for kind in ("o", *REQUESTS):
                shown = own if kind == "o" else factory.of_request(kind, own)
                assert owner.setdefault(shown, own) == own
                assert stem_of(shown) == own[:20]
                assert without_digest(shown) == shown[:20]
                assert own_id_of(shown) == (own if kind == "o" else own[:20])
                assert is_ours(shown, "abc123")
                assert instance_of_order(shown) == "abc123"
                assert len(shown) == CLIENT_ORDER_ID_MAX_LENGTH
                seen = parse_id(shown)
                assert seen is not None
                assert (seen.run_number, seen.counter) == (number, factory.counter)
                assert (seen.kind, seen.is_order) == (kind, kind == "o")
                head = f"line {turn}" if kind == "o" else f"a later line {turn}"
                assert seen.digest == chain_digest(head_of(head))


def test_the_digest_is_eighty_bits_of_the_head_in_base_36() -> None:
    for number in range(2_000):
        head = head_of(str(number))
        assert chain_digest(head) == base36(int(head, 16) >> 176).rjust(16, "0")
    assert chain_digest("f" * 64) == base36(2**80 - 1)
    assert chain_digest("0" * 64) == NO_DIGEST


def test_ids_of_old_builds_are_read_rightly_at_every_counter() -> None:
    for run in (1, 12, 432):
        for counter in range(1, 2_000):
            own = f"stabc123-{base36(run)}-{base36(counter)}"
            assert own_id_of(own) == own
            assert own_id_of(f"{own}-c") == own
            assert stem_of(f"{own}-c") == stem_of(own)
            assert is_ours(own, "abc123")
            seen = parse_id(own)
            assert seen is not None
            assert (seen.run_number, seen.counter, seen.digest) == (run, counter, "")


def test_a_request_about_an_order_of_an_old_build_is_recognised() -> None:
    digest = chain_digest(head_of("now"))
    for own in ("stabc123-1-c", "stabc123o001k3x0000c", "stabc123ozzzzk3x0000c"):
        for kind in REQUESTS:
            shown = request_id(kind, own, digest)
            assert shown is not None
            assert len(shown) == CLIENT_ORDER_ID_MAX_LENGTH
            assert stem_of(shown) == stem_of(own) == own_id_of(shown)
            assert is_ours(shown, "abc123")
    canceled_by_the_build_before = "stabc123c001k3x0000c"
    assert own_id_of(canceled_by_the_build_before) == "stabc123o001k3x0000c"


def test_an_old_id_is_never_read_as_a_new_one() -> None:
    new = {ClientOrderIdFactory(run_id("abc123", n, "zzz")).mint() for n in range(1, 2_000)}
    assert all(parse_id(one).nonce == "zzz" for one in new)  # type: ignore[union-attr]
    assert parse_id("stabc123-c001000-00001").nonce == ""  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "foreign",
    [
        "foreign-c", "strategy-c", "strategyc", "web_1", "st-c", "", "stabc123-c", "s" * 36,
        "stabc123-zzzzzzzzzzz-1-", "stabc123o001k3x0000c1w3f0p9qk2m5v7xZ", "x" * 20 + "o" * 16,
    ],
)  # fmt: skip
def test_what_no_seatrial_made_stays_as_it_is(foreign: str) -> None:
    assert own_id_of(foreign) == without_digest(foreign) == foreign
    assert parse_id(foreign) is None
    assert stem_of(foreign) == instance_of_order(foreign) == ""
    assert request_id(CANCEL_KIND, foreign, NO_DIGEST) is None
    assert ClientOrderIdFactory(run_id("abc123", 1)).of_request("c", ClientOrderId(foreign)) == ""
    assert not is_ours(foreign, "xyz789")


def test_an_absurd_number_in_an_old_id_has_no_stem() -> None:
    assert stem_of("stabc123-zzzzzzzzz-1") == stem_of("stabc123-1-zzzzzzzzz") == ""


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


def test_a_run_whose_number_has_no_room_mints_nothing() -> None:
    factory = ClientOrderIdFactory(run_id("abc123", 36**5, "abc"))
    with pytest.raises(ValueError, match="no room in an id"):
        factory.mint()


def test_a_later_order_than_the_newest_known_one_is_lost() -> None:
    factory = ClientOrderIdFactory(run_id("abc123", 7, "k3x"), counter=5)
    known, later = factory.mint(), factory.mint()
    next_run = ClientOrderIdFactory(run_id("abc123", 8, "aaa")).mint()
    assert is_lost(later, "abc123", known)
    assert is_lost(next_run, "abc123", known)
    assert is_lost(known, "abc123", "")
    assert is_lost(known, "abc123", "stabc123-6-zz")
    assert not is_lost(known, "abc123", known)
    assert not is_lost(known, "abc123", later)
    assert not is_lost(factory.of_request(CANCEL_KIND, later), "abc123", known)
    assert not is_lost(later, "other1", "")
    assert run_number_of("abc123-7-k3x") == run_number_of("abc123-7") == 7


def test_the_accountant_reads_an_id_as_it_was_written() -> None:
    """Its reading is another text; every kind, nonce and length of a run number, both ways."""
    for number in (1, 35, 46_655, 46_656, 36**5 - 1):
        for nonce in ("", "k3x"):
            run = run_id("abc123", number, nonce)
            factory = ClientOrderIdFactory(run, counter=36**4 - 1, head=head_of(f"{number}{nonce}"))
            own = factory.mint()
            for kind in ("o", *REQUESTS):
                shown = own if kind == "o" else factory.of_request(kind, own)
                read, mine = read_id(shown), parse_id(shown)
                assert read is not None
                assert mine is not None
                assert (read.instance, read.kind, read.run, read.counter) == (
                    mine.instance, mine.kind, mine.run_number, mine.counter,
                )  # fmt: skip
                assert read.key == factory.head[:20]
                assert read.boot == run_of(run)
    for old in ("stabc123-1-c", "stabc123-1-c-c", "stabc123o001k3x0000c", "stabc123c001k3x0000c"):
        read, mine = read_id(old), parse_id(old)
        assert read is not None
        assert mine is not None
        assert (read.run, read.counter, read.key) == (mine.run_number, mine.counter, "")
    assert read_id("web_1") is read_id("stabc123-c") is read_id("") is None
    unanchored = read_id("stabc123o001k3x0000c" + NO_DIGEST)
    assert unanchored is not None
    assert unanchored.key == ""


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("stabc123o001k3x0000c" + "z" * 16, "stabc123o001k3x0000d" + "0" * 16),
        ("stabc123o001k3x0009z" + "0" * 16, "stabc123o001k3x000a0" + "0" * 16),
        ("stabc123o001k3x0000d" + "0" * 16, "stabc123o002a000000a" + "0" * 16),
        ("stabc123-1-9", "stabc123-1-a0"),
        ("stabc123-1-zz", "stabc123-2-1"),
        ("", "stabc123o001k3x0000c" + "0" * 16),
    ],
)
def test_the_later_of_two_ids_is_told_by_run_and_counter(earlier: str, later: str) -> None:
    assert later_of(earlier, later) == later_of(later, earlier) == later
    assert later_of(later, later) == later
    assert (rank_of(later) > rank_of(earlier)) is True

"""The table of registered devices and its index by connection, against a table without an index."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from anwang.gateways.gb28181.sessions import Peer, Session, Sessions

UDP: Peer = ("udp", "192.0.2.1", 5060)
PEERS: list[Peer] = [UDP, *(("tcp", "192.0.2.1", port) for port in range(3))]


def session(device: str, peer: Peer = UDP, **more: float) -> Session:
    return Session(device=device, peer=peer, call=1, expires_s=1000.0, heard_s=0.0, **more)  # type: ignore[arg-type]


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "move", "drop", "lost"]), st.integers(0, 3), st.integers(0, 3)), max_size=40
    )
)
def test_the_index_knows_who_speaks_over_a_connection(steps: list[tuple[str, int, int]]) -> None:
    sessions = Sessions(keepalive_s=60, misses=3)
    over: dict[str, Peer] = {}
    for step, number, where in steps:
        device, peer = str(number), PEERS[where]
        found = sessions.get(device)
        if step == "put":
            sessions.put(session(device, peer))
            over[device] = peer
        elif step == "move" and found is not None:
            sessions.move(found, peer)
            found.is_lost = False
            over[device] = peer
        elif step == "drop":
            sessions.drop(device)
            over.pop(device, None)
        elif step == "lost" and peer[0] == "tcp":
            gone = {one.device for one in sessions.lost(peer)}
            assert gone == {name for name, at in over.items() if at == peer}
            over = {name: at for name, at in over.items() if at != peer}
        for one in PEERS[1:]:
            assert sessions.is_used(one) == (one in over.values())


def test_what_an_unmet_device_says_waits_for_it() -> None:
    sessions = Sessions(keepalive_s=60, misses=3)
    known, unknown = session("1", slot=7), session("2")
    for one in (known, unknown):
        sessions.put(one)
        sessions.alive(one, 5.0)
    assert sessions.take_fresh() == [known]
    unknown.slot = 8
    assert sessions.take_fresh() == [unknown]
    assert sessions.take_fresh() == []


def test_silence_and_expiry_are_found_once() -> None:
    sessions = Sessions(keepalive_s=60, misses=3)
    silent, over, own = session("1"), session("2"), session("3", silence_s=1000.0)
    over.expires_s = 100.0
    for one in (silent, over, own):
        sessions.put(one)
    assert sessions.sweep(50.0, 10) == []
    found = sessions.sweep(200.0, 10) + sessions.sweep(200.0, 10)
    assert sorted((one.device, why) for one, why in found) == [
        ("1", "keep-alives missed"),
        ("2", "registration expired"),
    ]
    assert sessions.sweep(201.0, 10) + sessions.sweep(201.0, 10) == []
    assert len(sessions) == 2

"""Messages between a process and its worker arrive whole, in time or not at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.ontology.worker_channel import Channel, HungUp, TimeIsOver, pack

LARGE = b"x" * 10_000_000
SOON = 1e-6


def soon() -> float:
    return time.monotonic() + SOON


def late() -> float:
    return time.monotonic() + 60


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), theirs


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.recursive(st.none() | st.text() | st.binary(), st.lists), min_size=1, max_size=4),
    st.integers(1, 50),
    st.sampled_from([0.0, SOON]),
)
def test_messages_arrive_in_any_pieces(messages: list[object], piece: int, awake: float) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(ours)
        for message in messages:
            packed = pack(message)
            for at in range(0, len(packed), piece):
                with pytest.raises(TimeIsOver):
                    channel.receive(soon(), awake=awake)
                theirs.sendall(packed[at : at + piece])
            assert channel.receive(late(), awake=awake) == message


def test_what_is_large_goes_both_ways(ends: tuple[Channel, socket.socket]) -> None:
    here, there = ends[0], Channel(ends[1])
    answering = threading.Thread(target=lambda: there.send(pack(there.receive())))
    answering.start()
    here.send(pack(LARGE), late())
    assert here.receive(late(), awake=SOON) == LARGE
    answering.join()


def test_what_nobody_takes_is_given_up(ends: tuple[Channel, socket.socket]) -> None:
    with pytest.raises(TimeIsOver):
        ends[0].send(pack(LARGE), soon())


@pytest.mark.parametrize("sent", [0, 1, 8, 9, 99])
def test_a_message_that_breaks_off_is_the_end(
    ends: tuple[Channel, socket.socket], sent: int
) -> None:
    channel, there = ends
    there.sendall(pack(b"x" * 100)[:sent])
    there.close()
    with pytest.raises(HungUp):
        channel.receive(late(), awake=SOON)
    with pytest.raises(HungUp):
        channel.send(pack(LARGE), late())


def test_who_waits_is_told_when_either_side_hangs_up(
    ends: tuple[Channel, socket.socket],
) -> None:
    heard = []

    def wait() -> None:
        with pytest.raises(HungUp):
            ends[0].receive()
        heard.append("the end")

    waiting = threading.Thread(target=wait)
    waiting.start()
    ends[0].hang_up()
    waiting.join()
    assert heard == ["the end"]
    assert ends[1].recv(1) == b""
    ends[0].hang_up()


@pytest.mark.parametrize("forever", [float("inf"), 1e300])
def test_time_may_be_without_end(ends: tuple[Channel, socket.socket], forever: float) -> None:
    ends[0].send(pack("x"), forever)
    assert Channel(ends[1]).receive(forever) == "x"

"""Messages between a process and its worker arrive whole, in time or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.ontology.worker_channel import Channel, pack

LARGE = b"x" * 10_000_000
SOON = 1e-6


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
                with pytest.raises(TimeoutError):
                    channel.receive(SOON, awake=awake)
                theirs.sendall(packed[at : at + piece])
            assert channel.receive(60, awake=awake) == message


def test_what_is_large_goes_both_ways(ends: tuple[Channel, socket.socket]) -> None:
    here, there = ends[0], Channel(ends[1])
    answering = threading.Thread(target=lambda: there.send(pack(there.receive())))
    answering.start()
    here.send(pack(LARGE), 60)
    assert here.receive(60, awake=SOON) == LARGE
    answering.join()


def test_what_nobody_takes_is_given_up(ends: tuple[Channel, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        ends[0].send(pack(LARGE), SOON)


@pytest.mark.parametrize("sent", [0, 1, 8, 9, 99])
def test_a_message_that_breaks_off_is_the_end(
    ends: tuple[Channel, socket.socket], sent: int
) -> None:
    channel, there = ends
    there.sendall(pack(b"x" * 100)[:sent])
    there.close()
    with pytest.raises(EOFError):
        channel.receive(60, awake=SOON)
    with pytest.raises(OSError, match="Broken pipe"):
        channel.send(pack(LARGE), 60)


def test_who_waits_is_told_when_either_side_hangs_up(
    ends: tuple[Channel, socket.socket],
) -> None:
    heard = []

    def wait() -> None:
        with pytest.raises(EOFError):
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

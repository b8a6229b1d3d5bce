"""A connection and hyper's h2: whatever both do, in pieces of any size, both understand the same, and no window leaks."""

from __future__ import annotations

import h2.settings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.http2_rig import REQUEST, RESPONSE, TRAILERS, Ours, Theirs, data, hand_over, request, settle

from server_demo.gateway import _frames as f

SIZES = st.lists(st.integers(1, 60), max_size=30)
BODIES = st.binary(max_size=60).map(lambda body: body * 400)
DO = st.sampled_from(
    [
        "open",
        "send",
        "send",
        "end",
        "answer",
        "answer",
        "finish",
        "confirm",
        "read",
        "settings",
        "ping",
        "reset",
        "move",
    ]
)
STEPS = st.lists(st.tuples(DO, st.integers(0, 5), BODIES, SIZES), min_size=10, max_size=60)


class Call:
    """What each side of one stream has said."""

    def __init__(self) -> None:
        self.sent, self.answered = b"", b""
        self.sends = self.answers = True
        self.reset = False


class Play:
    """Steps of both sides, and what has to be true after all of them."""

    def __init__(self, *, server: bool) -> None:
        self.server = server
        self.ours = Ours(server=server, keeps=True)
        self.theirs = Theirs(client=server)
        self.calls: dict[int, Call] = {}
        self.confirmed = 0
        self.pieces = 0
        settle(self.ours, self.theirs)

    def step(self, do: str, which: int, body: bytes, sizes: list[int]) -> None:
        numbers = [number for number, call in self.calls.items() if not call.reset]
        if do == "move":
            hand_over(self.ours, self.theirs, sizes)
        elif do == "settings":
            self._settings(which)
        elif do == "ping":
            self.theirs.connection.ping(b"12345678")
        elif do == "open":
            self._open()
        elif numbers:
            getattr(self, f"_{do}")(numbers[which % len(numbers)], body)

    def _settings(self, which: int) -> None:
        code = h2.settings.SettingCodes
        self.theirs.connection.update_settings(
            {
                code.INITIAL_WINDOW_SIZE: [0, 1, 1000, 65_535, 100_000, 2**20][which],
                code.MAX_FRAME_SIZE: 16_384 + 1000 * which,
                code.HEADER_TABLE_SIZE: [0, 100, 4096, 4096, 10_000, 64][which],
            }
        )

    def _open(self) -> None:
        if len(self.calls) > 20:
            return
        if self.server:
            number = self.theirs.connection.get_next_available_stream_id()
            self.theirs.connection.send_headers(number, [*REQUEST, (b"x", b"%d" % (number % 4))])
            hand_over(self.ours, self.theirs)
            assert number in self.ours.heard
        else:
            number = self.ours.open().stream.id
            hand_over(self.ours, self.theirs)
            self.theirs.connection.send_headers(number, RESPONSE)
        self.calls[number] = Call()
        if self.server:
            self.ours.connection.sender.headers(self.ours.heard[number].stream, RESPONSE)

    def _send(self, number: int, body: bytes) -> None:
        """The peer sends what its windows allow, padded now and then."""
        call, connection = self.calls[number], self.theirs.connection
        if call.sends and body:
            body = body[: max(0, min(connection.local_flow_control_window(number), 16_000) - 10)]
            connection.send_data(number, body, pad_length=len(body) % 9 or None)
            call.sent += body

    def _end(self, number: int, _body: bytes) -> None:
        call = self.calls[number]
        # A server that has answered ends the call; here both sides end on their own.
        if call.sends and (self.server or not call.answers):
            call.sends = False
            self.theirs.connection.end_stream(number)

    def _answer(self, number: int, body: bytes) -> None:
        call = self.calls[number]
        if call.answers:
            self.pieces += 1
            call.answered += body
            self.ours.connection.sender.data(self.ours.heard[number].stream, body, self._confirmed)

    def _confirmed(self) -> None:
        self.confirmed += 1

    def _finish(self, number: int, _body: bytes) -> None:
        call = self.calls[number]
        if call.answers and (not self.server or not call.sends):
            hand_over(self.ours, self.theirs)
            call.answers = False
            trailers = TRAILERS if self.server and number % 4 == 1 else None
            self.ours.connection.sender.end(self.ours.heard[number].stream, trailers)

    def _confirm(self, number: int, _body: bytes) -> None:
        self.ours.heard[number].confirm()

    def _read(self, number: int, _body: bytes) -> None:
        if number in self.theirs.connection.streams:
            self.theirs.acknowledge(number)

    def _reset(self, number: int, body: bytes) -> None:
        settle(self.ours, self.theirs)
        call = self.calls[number]
        if number in self.ours.connection.streams:
            call.reset = True
            if len(body) % 800:
                self.ours.connection.reset(self.ours.connection.streams[number], f.CANCEL)
            else:
                self.theirs.connection.reset_stream(number)
            # What comes of it later is confirmed as always.

    def conclude(self) -> None:
        """Everybody reads and ends."""
        self.theirs.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
        for number, call in self.calls.items():
            if call.reset:
                continue
            if self.server:
                self._end(number, b"")
                self._flow()
                self._finish(number, b"")
            else:
                self._finish(number, b"")
                self._flow()
                self._end(number, b"")
        self._flow()

    def _flow(self) -> None:
        settle(self.ours, self.theirs)
        while True:
            for heard in self.ours.heard.values():
                heard.confirm()
            for number, waiting in tuple(self.theirs.unacknowledged.items()):
                if waiting and number in self.theirs.connection.streams:
                    self.theirs.acknowledge(number)
            if not hand_over(self.ours, self.theirs):
                break


@pytest.mark.parametrize("server", [True, False], ids=["as a server", "as a client"])
@given(steps=STEPS)
@settings(max_examples=150)
def test_whatever_both_do_each_hears_what_the_other_said_and_no_window_leaks(server, steps):
    play = Play(server=server)
    for step in (("open", 0, b"", []), ("open", 0, b"", []), *steps):
        play.step(*step)
    play.conclude()
    assert play.ours.connection.failed is None
    for number, call in play.calls.items():
        if call.reset:
            assert call.sent.startswith(play.ours.heard[number].body)
        else:
            assert play.ours.heard[number].body == call.sent
            assert play.ours.heard[number].ended
            assert play.theirs.bodies.get(number, b"") == call.answered
            assert number in play.theirs.ended
    assert play.confirmed == play.pieces
    assert not play.ours.connection.streams
    assert play.ours.windows_are_whole


@given(st.binary(max_size=400), SIZES)
def test_bytes_mean_the_same_in_whatever_pieces_they_come(tail, sizes):
    wire = f.PREFACE + f.settings_frame([]) + request(1) + data(1, b"abc", end=True) + tail
    whole, pieces = Ours(server=True), Ours(server=True)
    whole.connection.feed(wire)
    left = wire
    for size in (*sizes, *[7] * len(wire)):
        pieces.connection.feed(left[:size])
        left = left[size:]
    assert pieces.out() == whole.out()
    assert pieces.heard[1].body == whole.heard[1].body == b"abc"
    assert pieces.connection.failed == whole.connection.failed

"""Another protocol on a connection that was HTTP/1.1."""

from __future__ import annotations

from support.http1_rig import Heard, settled
from support.http1_side import GET, UPGRADE, Rig


def switch(heard: Heard) -> None:
    if heard.log == ["end"]:
        heard.caller.send_head(101, [(b"connection", b"Upgrade"), (b"upgrade", b"chat"), (b"x", b"1")])


async def test_after_101_bytes_pass_as_they_are_in_both_directions() -> None:
    rig = Rig(on_end=switch)
    rig.side.feed(UPGRADE + b"early")
    (heard,) = rig.heard
    assert heard.head.headers == [(b"connection", b"upgrade"), (b"upgrade", b"chat")]
    rig.side.feed(b" and late")
    await settled()
    assert heard.body == b"early and late"
    heard.caller.send_data(b"\x81\x00")
    assert rig.link.written == (
        b"HTTP/1.1 101 Switching Protocols\r\nx: 1\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n\x81\x00"
    )
    rig.side.eof()
    assert heard.log == ["end", "end"]
    assert rig.link.log == []
    heard.caller.send_end()
    assert rig.link.log == ["close"]


async def test_the_service_may_end_its_direction_first() -> None:
    rig = Rig(on_end=switch)
    rig.side.feed(UPGRADE)
    heard = rig.heard[0]
    heard.caller.send_end()
    assert rig.link.log == ["half_close"]
    rig.side.feed(b"more")
    rig.side.eof()
    assert heard.body == b"more"
    assert rig.link.log == ["half_close", "close"]
    rig.side.lost()
    assert heard.log == ["end", "end"]


async def test_a_caller_that_is_lost_in_a_pipe_is_gone() -> None:
    rig = Rig(on_end=switch)
    rig.side.feed(UPGRADE)
    rig.side.lost()
    assert rig.heard[0].log == ["end", "gone"]


async def test_a_pipe_holds_its_caller_back_too() -> None:
    rig = Rig(on_end=switch, keeps=True)
    rig.side.feed(UPGRADE)
    rig.side.feed(b"x" * 300_000)
    assert not rig.link.reading
    for sent in rig.heard[0].unconfirmed:
        sent()
    assert rig.link.reading


async def test_an_upgrade_that_is_refused_is_an_ordinary_answer() -> None:
    rig = Rig()
    rig.side.feed(UPGRADE + GET)
    await settled()
    assert [status for status, _, _ in rig.answers()] == [200, 200]


async def test_nobody_switches_who_was_not_asked() -> None:
    rig = Rig(on_end=switch)
    rig.side.feed(GET)
    assert rig.link.log == ["abort"]
    assert b"101" not in rig.link.written

"""An HTTP/1.1 side with its link and the exchanges that it starts, for tests without a system behind it."""

from __future__ import annotations

import h11

from server_demo.gateway._http1_caller import Http1Side
from support.http1_rig import FakeLink, Heard

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX-T: 1\r\n\r\n"
OLD = b"GET /a HTTP/1.0\r\n\r\n"
UPGRADE = b"GET /w HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"
LARGE = 60 * 1024


def answer_ok(heard: Heard) -> None:
    """200, the body back."""
    heard.caller.send_head(200, [(b"content-length", b"%d" % len(heard.body))])
    heard.caller.send_data(heard.body)
    heard.caller.send_end()


class Rig:
    """A side, its link, and the exchanges it has started."""

    def __init__(self, on_start=None, on_end=answer_ok, *, keeps: bool = False, secure: bool = False) -> None:
        self.link = FakeLink(secure=secure)
        self.heard: list[Heard] = []
        self.side = Http1Side(self.link, self._start, max_header_bytes=LARGE)
        self._on_start, self._on_end, self._keeps = on_start, on_end, keeps

    def _start(self, head, caller) -> Heard:
        heard = Heard(head, caller, on_end=self._on_end, keeps=self._keeps)
        self.heard.append(heard)
        if self._on_start is not None:
            self._on_start(heard)
        return heard

    def answers(self, *methods: bytes) -> list[tuple[int, bytes, dict[bytes, bytes]]]:
        """Status, body and headers of each answer, as h11's client reads them."""
        conn = h11.Connection(h11.CLIENT)
        conn.receive_data(self.link.written)
        if "close" in self.link.log or "half_close" in self.link.log:
            conn.receive_data(b"")
        found = []
        for method in methods or (b"GET",) * 99:
            if conn.our_state is not h11.IDLE:
                break
            conn.send(h11.Request(method=method, target="/", headers=[("host", "h")]))
            conn.send(h11.EndOfMessage())
            status, body, headers = 0, b"", {}
            while True:
                try:
                    event = conn.next_event()
                except h11.RemoteProtocolError:
                    return found
                if isinstance(event, h11.Response):
                    status, headers = event.status_code, dict(event.headers)
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    found.append((status, body, headers))
                    break
                elif not isinstance(event, h11.InformationalResponse):
                    return found
            if conn.our_state is h11.DONE and conn.their_state is h11.DONE:
                conn.start_next_cycle()
        return found

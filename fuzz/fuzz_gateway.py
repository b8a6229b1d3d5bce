"""Feeds the gateway's HTTP/2 connection and its reader of header blocks with what coverage suggests.

    python fuzz/fuzz_gateway.py 60          # for so many seconds
    python fuzz/fuzz_gateway.py FILE ...    # these inputs again, without atheris

The first byte of an input chooses what reads the rest: a server's connection, a client's with a few calls on it, or the
reader, which an unremembering hpack checks. The second says in what pieces it comes. A broken peer may end its
connection; any error, an owner that hears more after its end, a window that leaks, memory out of proportion or a hang is a
finding.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = ROOT / ".venv-fuzz"
sys.path[:0] = [str(ROOT)]

MEGABYTES = 256
LONGEST_INPUT = 4096
# Seconds of processor time.
LONGEST = 5
# Bytes to send for each byte that came, and for a connection as such; twelve are what a PING costs at most.
ANSWERED_EACH, ANSWERED_AT_LEAST = 12, 20_000


def check(data: bytes) -> None:
    """Raises whatever may not be raised, and AssertionError for what may not happen."""
    if len(data) < 2:
        return
    began = time.process_time()
    (_read_blocks, _serve, _serve_hello, _call)[data[0] % 4](data[1], data[2:])
    spent = time.process_time() - began
    assert spent < LONGEST, f"{len(data)} bytes took {spent:.1f} seconds"


def _read_blocks(size: int, data: bytes) -> None:
    import hpack

    from server_demo.gateway._frames import HeaderReader, Http2Error

    reader, plain = HeaderReader(16_384, list), hpack.Decoder(max_header_list_size=16_384)
    step = size % 32 + 1
    blocks = [data[at : at + step] for at in range(0, len(data), step)]
    for block in [*blocks, *blocks]:
        try:
            wanted = plain.decode(block, raw=True)
        except hpack.HPACKError:
            wanted = None
        try:
            assert reader.read(block) == wanted
        except Http2Error:
            assert wanted is None
            return


class _Owner:
    """Keeps every other piece unconfirmed, and answers what is complete."""

    def __init__(self, unconfirmed: list[Callable[[], object]]) -> None:
        self.over = False
        self.answer: Callable[[], object] = lambda: None
        self._unconfirmed = unconfirmed

    def on_headers(self, fields: object, *, end: bool) -> None:  # noqa: ARG002
        assert not self.over
        if end:
            self.on_end()

    def on_data(self, data: bytes, sent: Callable[[], object]) -> None:
        assert not self.over
        if len(data) % 2:
            self._unconfirmed.append(sent)
        else:
            sent()

    def on_end(self) -> None:
        assert not self.over
        self.over = True
        self.answer()

    def on_reset(self, code: int) -> None:  # noqa: ARG002
        self.over = True


def _serve(size: int, data: bytes) -> None:
    _run(size, data, server=True)


def _serve_hello(size: int, data: bytes) -> None:
    from server_demo.gateway import _frames as f

    block = f.header_block([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/")])
    opened = f.header_frames(1, block, end=False, largest=16_384)
    _run(size, f.PREFACE + f.settings_frame([]) + opened + data, server=True)


def _call(size: int, data: bytes) -> None:
    from server_demo.gateway import _frames as f

    _run(size, f.settings_frame([]) + data, server=False)


def _run(size: int, data: bytes, *, server: bool) -> None:
    from server_demo.gateway._http2 import Connection

    unconfirmed: list[Callable[[], object]] = []

    def opened(stream, fields, end):  # noqa: ARG001
        owner = _Owner(unconfirmed)

        def answer():
            connection.sender.headers(stream, [(b":status", b"200")])
            connection.sender.data(stream, b"answer" * 100)
            connection.sender.end(stream, [(b"grpc-status", b"0")])

        owner.answer = answer
        if end:
            owner.on_end()
        return owner

    connection = Connection(
        opened=opened if server else None, wake=lambda: None, max_streams=4, max_header_bytes=1024
    )
    if not server:
        for number in range(3):
            stream = connection.open([(b":method", b"POST")], _Owner(unconfirmed))
            connection.sender.data(stream, b"request" * 100)
            if number:
                connection.sender.end(stream)
    written = 0

    def write(piece: bytes) -> bool:
        nonlocal written
        written += len(piece)
        return written % 3 != 0

    step = size or len(data) or 1
    for at in range(0, len(data), step):
        connection.feed(data[at : at + step])
        connection.sender.flush(write)
        if connection.sender.blocked:
            connection.unblocked()
    assert len(connection.streams) <= 4
    connection.sender.flush(write)
    assert written <= ANSWERED_AT_LEAST + ANSWERED_EACH * len(data), f"{written} bytes for {len(data)}"
    connection.lost()
    assert not connection.streams
    for sent in unconfirmed:
        sent()
    # The connection's window is whole, but for what ended it.
    if connection.failed is None:
        credited = connection._window_left + connection._uncredited
        assert abs(credited - 2 * connection._credit_step) <= 1, "a window leaks"


def seeds() -> list[bytes]:
    """Inputs to begin with: a conversation of each kind of frame."""
    from server_demo.gateway import _frames as f

    request = f.header_block([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"), (b"x", b"1")])
    answer = f.header_block([(b":status", b"200")])
    frames = [
        f.settings_frame([(f.INITIAL_WINDOW_SIZE, 10), (f.HEADER_TABLE_SIZE, 0)]),
        f.frame(f.DATA, 0, 1, b"body"),
        f.frame(f.DATA, f.PADDED | f.END_STREAM, 1, b"\2ab\0\0"),
        f.frame(f.PING, 0, 0, b"12345678"),
        f.frame(f.WINDOW_UPDATE, 0, 0, f.word(1000)),
        f.frame(f.WINDOW_UPDATE, 0, 1, f.word(1000)),
        f.frame(f.PRIORITY, 0, 5, f.word(1) + b"x"),
        f.frame(f.RST_STREAM, 0, 3, f.word(8)),
        f.frame(f.GOAWAY, 0, 0, f.word(1) + f.word(0)),
    ]
    requests = [f.header_frames(number, request, end=number > 1, largest=20) for number in (1, 3, 5)]
    answers = [
        f.header_frames(number, block, end=block is not answer, largest=20)
        for number in (1, 3)
        for block in (answer, f.header_block([(b"grpc-status", b"0")]))
    ]
    return [
        b"\0\7" + b"\x40\1a\1b\xbe\x3f\x21\x82" * 4,
        b"\1\0" + f.PREFACE + frames[0] + b"".join(requests + frames),
        b"\2\5" + b"".join(requests[1:] + frames),
        b"\3\0" + b"".join(answers + frames),
    ]


def fuzz(seconds: str) -> int:
    """Runs libFuzzer in this process, which it ends."""
    try:
        import atheris
    except ImportError:
        where = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {sys.platform}"
        print(
            f"SKIPPED, nothing was fuzzed: atheris is not installed, or has no wheel for {where}",
            file=sys.stderr,
        )
        return 1 if os.environ.get("CI") else 0
    with atheris.instrument_imports(
        include=["server_demo.gateway._http2", "server_demo.gateway._frames", "hpack"]
    ):
        from server_demo.gateway import _http2  # noqa: F401
    found = WORK / "gateway-corpus"
    found.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (found / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", "-timeout=300", f"-max_len={LONGEST_INPUT}"]
    limits += [
        "-rss_limit_mb=512",
        f"-artifact_prefix={WORK}/gateway-",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *limits, str(found)], check)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    most = pages * resource.getpagesize() + MEGABYTES * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    atheris.Fuzz()
    return 0


def main(arguments: list[str]) -> int:
    """The command line."""
    if len(arguments) == 1 and arguments[0].isdigit():
        return fuzz(arguments[0])
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    for name in arguments:
        check(Path(name).read_bytes())
        print(f"{name}: as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The first half of the chain: from the text of the address to a peer that speaks HTTP/2."""

from __future__ import annotations

import datetime as dt
import ipaddress
import time
from contextlib import suppress

from eas_grpc.doctor._address import judge_address
from eas_grpc.doctor._ask import RawConnection
from eas_grpc.doctor._catalogue import found
from eas_grpc.doctor._dial import dial, look_up, open_tunnel
from eas_grpc.doctor._handshake import load_files, probe_tls
from eas_grpc.doctor._http2 import classify, judge_first
from eas_grpc.doctor._links import judge_dialling, judge_names, judge_proxy, slow_note, wait_note
from eas_grpc.doctor._proxy import Proxy, choose_proxy
from eas_grpc.doctor._rpc import channel, given_token, resolve
from eas_grpc.doctor._seen import First, Handshake, Tunnel
from eas_grpc.doctor._state import Recorder, State
from eas_grpc.doctor._tls import handshake_problem, judge_handshake
from eas_grpc.doctor._token import GivenToken, plaintext_note, read_token
from eas_grpc.errors import ConfigError

__all__ = ["reach"]

# A proxy that only other clients would use is not worth more.
_OTHERS_PROXY = 0.5
_SLOW_LINK = 1.0


def reach(state: State) -> RawConnection | None:
    """Steps address to http2; a connection that has been greeted, or None where something is at fault."""
    _address(state)
    if state.address.endpoint is None:
        state.skip_rest("not reached: there is no address to dial")
        return None
    _token(state)
    _proxy(state)
    if fault := state.failed("proxy"):
        state.skip_rest(f"not reached: see {fault}")
        return None
    _dns(state)
    if not state.failed("dns"):
        _tcp(state)
    connection = None
    if not state.failed("dns", "tcp"):
        connection = _speak(state)
    if fault := state.failed("dns", "tcp", "tls", "http2"):
        state.skip_rest(f"not reached: see {fault}")
    return connection


def _address(state: State) -> None:
    with state.step("address") as step:
        state.address = judge_address(state.question.address, tls=state.question.tls)
        step.find(*state.address.findings)
        step.see(*(state.showing(line) for line in state.address.evidence))


def _token(state: State) -> None:
    with state.step("token") as step:
        try:
            state.token = read_token(given_token(state.question, state.endpoint))
        except ConfigError as error:
            # The environment names a file or a profile that cannot be used.
            state.token = GivenToken(given=True)
            step.find(found("token-invalid", "The settings of the token cannot be used.", str(error)))
        state.learn_secrets()
        step.find(*state.token.findings, *plaintext_note(state.endpoint, state.token.token))
        step.see(*state.token.evidence)
        if state.own_authorization:
            step.see("the metadata hold an authorization of their own, which replaces the token")


def _proxy(state: State) -> None:
    with state.step("proxy") as step:
        state.choice = choose_proxy(state.endpoint, state.question.environ, state.question.proxy)
        state.learn_secrets()
        step.see(*(state.showing(line) for line in state.choice.evidence))
        proxy = state.choice.plain
        if proxy is not None:
            _ask_proxy(state, step, proxy, ours=state.choice.ours is not None)


def _ask_proxy(state: State, step: Recorder, proxy: Proxy, *, ours: bool) -> None:
    timeout = state.left() if ours else state.left(_OTHERS_PROXY)
    names = look_up(proxy.host, proxy.port, timeout)
    dialled = dial(state.endpoint, names.addresses, proxy.port, timeout)
    if dialled.sock is None:
        if ours:
            step.find(*judge_dialling(state.endpoint, dialled.attempts, None, proxy))
            return
        tunnel = Tunnel(None, failure="closed")
    else:
        with dialled.sock as sock:
            tunnel = open_tunnel(sock, proxy, state.endpoint.authority, timeout)
    step.find(*judge_proxy(state.endpoint, proxy, tunnel, state.showing, ours=ours))
    if tunnel.status is not None:
        step.see(f"CONNECT {state.endpoint.authority}: {tunnel.status}")
    if ours:
        state.addresses = names.addresses


def _dns(state: State) -> None:
    with state.step("dns") as step:
        host = state.endpoint.host
        if state.endpoint.socket is not None:
            step.skip("a Unix socket has no name")
            return
        if state.choice.ours is not None:
            step.skip("the proxy looks the name up")
            return
        with suppress(ValueError):
            ipaddress.ip_address(host)
            state.addresses = (host,)
            step.see("an IP address")
            return
        python = look_up(host, state.endpoint.port, state.left())
        state.addresses = python.addresses
        if python.addresses:
            step.see(f"Python: {', '.join(python.addresses)}")
            return
        grpcs = None
        if state.token.usable and not _broken_files(state):
            with channel(state.question, state.endpoint, state.masked_token(), state.files) as made:
                grpcs = resolve(made, state.left())
        step.see(f"Python: {python.detail or python.failure}")
        if grpcs is not None:
            step.see(f"gRPC: {', '.join(grpcs.addresses) or state.showing(grpcs.detail)}")
        step.find(*judge_names(host, python, grpcs, state.address.eas))
        state.raw = False


def _tcp(state: State) -> None:
    with state.step("tcp") as step:
        if not state.raw:
            step.skip("Python's resolver has no address to connect to")
            return
        dialled = state.dial(state.left())
        if dialled.sock is not None:
            dialled.sock.close()
        step.see(
            *(
                f"{each.address}: {each.detail or each.outcome} ({each.seconds * 1000:.0f} ms)"
                for each in dialled.attempts
            )
        )
        step.find(*judge_dialling(state.endpoint, dialled.attempts, state.address.eas, state.choice.ours))
        if any(each.id == "refused" for each in step.findings):
            step.find(*wait_note(step.findings))
        if dialled.sock is not None and dialled.attempts[-1].seconds > _SLOW_LINK:
            step.find(slow_note("connecting", dialled.attempts[-1].seconds))


def _broken_files(state: State) -> bool:
    question = state.question
    state.files = load_files(question.cacert, question.cert, question.key)
    return bool(state.files.problem)


def _speak(state: State) -> RawConnection | None:
    connection: RawConnection | None = None
    seen = Handshake()
    with state.step("tls") as step:
        if _broken_files(state):
            problem = state.showing(state.files.problem)
            step.find(
                found(
                    "ca-file-unreadable",
                    f"{problem[:1].upper()}{problem[1:]}.",
                    "give a file in PEM form",
                    evidence=problem,
                )
            )
        elif not state.endpoint.tls:
            step.skip("the address asks for plaintext")
        elif not state.raw:
            step.skip("Python's resolver has no address to connect to")
        else:
            seen, connection = _handshake(state, step)
    if state.failed("tls"):
        return None
    with state.step("http2") as step:
        if not state.raw:
            step.skip("Python's resolver has no address to connect to")
            return None
        if connection is None:
            connection = state.open(state.left())
        if connection is None:
            step.find(
                found(
                    "closed",
                    "The second connection is not accepted.",
                    "try again: perhaps it is overloaded",
                    sure=False,
                )
            )
            return None
        _greet(state, step, connection, seen)
    if state.failed("http2"):
        connection.close()
        return None
    return connection


def _handshake(state: State, step: Recorder) -> tuple[Handshake, RawConnection | None]:
    sock = state.connected(state.left())
    if sock is None:
        step.find(
            found(
                "closed",
                "The second connection is not accepted.",
                "try again: perhaps it is overloaded",
                sure=False,
            )
        )
        return Handshake("closed"), None
    seen, secure = state.wrapped(sock, state.left())
    if secure is not None:
        step.see(f"{seen.version}, ALPN {seen.alpn or 'none'}")
        if seen.certificate is not None:
            step.see(state.showing(f"certificate {seen.certificate}"))
        return seen, RawConnection(secure, authority=state.authority, scheme="https")
    sock.close()
    another = plain = None
    if seen.problem in ("not-tls", "closed", "silence", "other"):
        plain = _greeting_without_tls(state)
    else:
        another = probe_tls(lambda: state.connected(state.left()), state.tls_host, state.left())
    now = dt.datetime.now(dt.timezone.utc)
    findings = judge_handshake(state.endpoint, state.tls_host, seen, another, plain, now, state.showing)
    step.find(*findings)
    step.see(state.showing(seen.detail or seen.problem))
    if another is not None and another.certificate is not None:
        step.see(state.showing(f"certificate {another.certificate}"))
    return seen, None


def _greeting_without_tls(state: State) -> First | None:
    """HTTP/2's preface and nothing else, in plaintext: does the port speak that?"""
    sock = state.connected(state.left(1.0))
    if sock is None:
        return None
    with RawConnection(sock, authority=state.authority, scheme="http") as plain:
        return plain.greet(state.left(1.0))


def _ask_in_http1(state: State) -> bytes:
    """What a harmless request in HTTP/1.1 gets, without a token: some servers give no version for HTTP/2's preface."""
    connection = state.open(state.left(1.0))
    if connection is None:
        return b""
    with connection:
        ask = f"OPTIONS * HTTP/1.1\r\nHost: {state.authority}\r\nConnection: close\r\n\r\n"
        return connection.say(ask.encode("ascii", "replace"), state.left(1.0))


def _greet(state: State, step: Recorder, connection: RawConnection, seen: Handshake) -> None:
    began = time.monotonic()
    first = connection.greet(state.left())
    waited = time.monotonic() - began
    speech = classify(first.data)
    if state.endpoint.tls and handshake_problem("SSLError", connection.detail, 0) == "client-certificate":
        refused = Handshake("client-certificate", connection.detail)
        now = dt.datetime.now(dt.timezone.utc)
        step.find(*judge_handshake(state.endpoint, state.tls_host, refused, None, None, now, state.showing))
        return
    tls = None
    if speech != "http2" and not state.endpoint.tls:
        tls = probe_tls(lambda: state.connected(state.left(1.0)), state.tls_host, state.left(1.0))
    http1 = b""
    if speech in ("other", "nothing") and first.ending != "silence" and (tls is None or tls.problem):
        http1 = _ask_in_http1(state)
    step.find(
        *judge_first(state.endpoint, first, tls, state.showing, alpn=seen.alpn, waited=waited, http1=http1)
    )
    told = {
        "http2": "SETTINGS: it speaks HTTP/2",
        "goaway": "GOAWAY instead of SETTINGS",
        "nothing": f"nothing ({first.ending})",
    }
    step.see(told.get(speech) or f"first bytes: {state.showing(first.data, longest=120)}")
    if speech == "http2" and waited > _SLOW_LINK:
        step.find(slow_note("the first byte of HTTP/2", waited))

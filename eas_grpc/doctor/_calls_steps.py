"""The second half of the chain: what the service answers, to raw bytes and to real calls."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from eas_grpc._status_codes import status_number
from eas_grpc.doctor._ask import RawConnection
from eas_grpc.doctor._calls import (
    Known,
    is_about_token,
    judge_call,
    judge_probe,
    judge_token_refusal,
)
from eas_grpc.doctor._catalogue import found
from eas_grpc.doctor._frames import largest_first_message
from eas_grpc.doctor._gateway import describe, is_grpc, judge_answer, refuses_token
from eas_grpc.doctor._idle_steps import clock, keepalive
from eas_grpc.doctor._links import slow_note
from eas_grpc.doctor._rpc import DEFAULT_LIMIT, HEALTH_CHECK, Called, call, channel, health, padded
from eas_grpc.doctor._state import Recorder, State
from eas_grpc.errors import CallError, ConfigError, SchemaError

__all__ = ["converse"]

# Nobody has such a method, so asking for it does nothing, and is refused where the token is.
_NO_METHOD = "EasGrpcDoctorAsks"
_NO_SERVICE = "eas_grpc.doctor.v1.Probe"
_SLOW_CALL = 2.0
# Seconds: a call of the user's may take all that is left.
_ALL = 60.0
_STOCK_LIMIT = 4 * 1024 * 1024


def converse(state: State, connection: RawConnection | None) -> None:
    """Steps gateway to clock. `connection` speaks HTTP/2 already; None where only gRPC's own resolver gets through."""
    if not state.token.usable:
        if connection is not None:
            connection.close()
        state.skip_rest("not reached: the token cannot be sent")
        return
    if connection is not None:
        with connection:
            _gateway(state, connection)
    else:
        with state.step("gateway") as step:
            step.skip("no raw connection")
    try:
        with channel(state.question, state.endpoint, state.masked_token(), state.files) as made:
            _Calls(state, made).run()
    except ConfigError as error:
        with state.step("health") as step:
            step.find(found("call-failed", "No channel can be made of these settings.", str(error)))
        state.skip_rest("not reached: see health")
        return
    keepalive(state, _probe_path(state))
    clock(state)


def _probe_path(state: State) -> str:
    service = (state.question.method or "").strip("/").rpartition("/")[0]
    return f"/{service if service.isascii() and service else _NO_SERVICE}/{_NO_METHOD}"


def _gateway(state: State, connection: RawConnection) -> None:
    with state.step("gateway") as step:
        path = _probe_path(state)
        answer = connection.ask(path, state.headers(), b"", state.left())
        state.answer = answer
        step.see(*describe(answer, state.showing))
        if refuses_token(answer):
            _refused(state, step, path, b"", answer.status == 401, "; ".join(describe(answer, state.showing)))
            return
        if answer.status in (404, 405):
            # One that sends each path its own way may know only those that exist.
            other = connection.ask(HEALTH_CHECK, state.headers(), b"", state.left(1.0))
            if is_grpc(other) or refuses_token(other):
                step.see("only for a path that nobody has: health is answered")
                return
        findings = judge_answer(answer, state.showing, where=state.endpoint.authority)
        if answer.status in (404, 405) and state.question.method is None:
            # The service's own paths may be routed all the same; only a call of one would tell.
            findings = tuple(replace(each, sure=False) for each in findings)
        step.find(*findings)


def _refused(
    state: State, step: Recorder, path: str, message: bytes, http: bool, evidence: str, what: str = "call"
) -> None:
    """The findings of UNAUTHENTICATED; the bare token is tried once, where connect() would send it too."""
    bare = False
    given = state.token.token is not None or state.own_authorization
    may_ask = (
        state.token.token is not None and not state.own_authorization and len(message) < largest_first_message
    )
    if may_ask and (again := state.open(state.left(1.0))) is not None:
        with again:
            again.greet(state.left(1.0))
            answer = again.ask(path, state.headers(bare=True), message, state.left(1.0))
        bare = answer.status is not None and not refuses_token(answer) and is_grpc(answer)
        step.see(f"with the bare token: {'; '.join(describe(answer, state.showing)) or 'no answer'}")
    step.find(
        *judge_token_refusal(http=http, token_given=given, bare_works=bare, evidence=evidence, what=what)
    )


class _Calls:
    """The steps that call through gRPC: health, reflection, the call, limits."""

    def __init__(self, state: State, made: Any) -> None:
        self._state, self._channel = state, made
        self._metadata = state.question.metadata
        self._schema: Any = None
        self._has_health = False
        self._called = False
        # Reflection was asked and did not answer: nothing is known of it.
        self._silent = False

    def run(self) -> None:
        """All of them, as far as they can matter."""
        state = self._state
        gateway = state.recorders["gateway"]
        fatal = gateway.failed and not any(each.id == "timeout" for each in gateway.findings)
        # The user's call is worth more than our questions, and may be as slow as they are.
        hurry = gateway.failed and state.question.method is not None
        with state.step("health") as recorder:
            if fatal or hurry:
                recorder.skip("not reached: see gateway")
            else:
                self._health(recorder)
        with state.step("reflection") as recorder:
            if fatal or (hurry and state.question.data is None):
                recorder.skip("not reached: see gateway")
            else:
                self._reflection(recorder)
        with state.step("call") as recorder:
            self._call(recorder)
        if self._called:
            # What the user wants works, so what a probe met before was about the probe.
            for name in ("gateway", "health"):
                if state.failed(name) and not (name == "health" and self._has_health):
                    state.drop_faults(name, "but the call itself is answered")
        elif gateway.failed and self._has_health and state.question.method is None:
            state.drop_faults("gateway", "but the health check is answered")
        with state.step("limits") as recorder:
            self._limits(recorder)

    def _ask(self, path: str, message: bytes, most: float, *, streams: bool = False) -> Called:
        return call(self._channel, path, message, self._state.left(most), self._metadata, streams=streams)

    def _health(self, step: Recorder) -> None:
        called = self._ask(HEALTH_CHECK, b"", 2.5)
        failure = called.failure
        showing = self._state.showing
        if failure is None:
            status = health(called)
            if status is None:
                step.find(
                    found(
                        "call-failed",
                        "The health check is answered with something that is no answer of a health service.",
                        "check that this is the service that is meant, and its version of grpc.health.v1",
                        evidence=showing(called.answer),
                        sure=False,
                    )
                )
                return
            self._has_health = True
            step.see(f"{status} in {called.seconds * 1000:.0f} ms")
            if called.seconds > _SLOW_CALL:
                step.find(slow_note("the health check", called.seconds))
            if status != "SERVING":
                step.find(
                    found(
                        "health-not-serving",
                        f"The service answers, and its health is {status}.",
                        "look at the service's log: it says itself that it is not ready",
                        evidence=status,
                    )
                )
            return
        step.see(f"{failure.status}: {showing(failure.details)}")
        if failure.http_status is None and failure.status == "UNIMPLEMENTED":
            step.find(
                found(
                    "health-missing",
                    "The service answers gRPC, but has no standard health service (grpc.health.v1).",
                    "add it: probes, load balancers and `eas-grpc health` ask for it",
                    evidence=showing(failure.details),
                )
            )
        elif failure.http_status is None and failure.status == "NOT_FOUND":
            self._has_health = True
            step.see("its health service does not speak for the server as a whole")
        elif is_about_token(failure):
            if not self._state.failed("gateway"):
                self._refused(step, HEALTH_CHECK, b"", failure, "health check")
        elif failure.status == "PERMISSION_DENIED" and failure.http_status is None:
            self._denied(step, showing(failure.details))
        elif not self._state.failed("gateway"):
            step.find(self._judged(called, "the health check"))

    def _denied(self, step: Recorder, details: str) -> None:
        """Health that is not for this caller is no fault; that nothing else is either may be one."""
        answer = self._state.answer
        if answer is None or answer.grpc_status != status_number("PERMISSION_DENIED"):
            step.see("health is not for this caller; calls may be")
            return
        step.find(
            found(
                "call-failed",
                "The service refuses whatever was asked with PERMISSION_DENIED.",
                "look at who may call it; name a method with --method to see whether that is refused too",
                evidence=details,
                sure=False,
                status=status_number("PERMISSION_DENIED"),
            )
        )

    def _judged(self, called: Called, method: str, known: Known = "unasked") -> Any:
        assert called.failure is not None
        return judge_call(
            called.failure,
            self._state.showing,
            method=method,
            known=known,
            name_found=bool(self._state.addresses),
            limit=self._state.question.max_response or DEFAULT_LIMIT,
            seconds=called.seconds,
        )

    def _refused(self, step: Recorder, path: str, message: bytes, failure: Any, what: str) -> None:
        told = f"{failure.status}: {self._state.showing(failure.details)}"
        _refused(self._state, step, path, message, failure.http_status == 401, told, what)

    def _reflection(self, step: Recorder) -> None:
        from eas_grpc.schema import ReflectionError, from_reflection

        showing = self._state.showing
        if self._state.failed("health") and not self._has_health:
            step.skip("not reached: see health")
            return
        try:
            self._schema = from_reflection(
                self._channel, timeout=self._state.left(1.5), metadata=self._metadata
            )
        except ReflectionError as error:
            message = showing(str(error).partition("\n")[0])
            step.see(message)
            if error.reason in ("off", "refused"):
                how = (
                    "has no reflection"
                    if error.reason == "off"
                    else "does not show its reflection to this caller"
                )
                step.find(
                    found(
                        "reflection-off",
                        f"The service {how}: tools cannot read its schema from it.",
                        "serve it with reflection, or give tools the .proto files (--proto)",
                        evidence=message,
                    )
                )
            else:
                step.find(
                    found(
                        "reflection-broken",
                        "The schema that the service's reflection tells cannot be used.",
                        "give tools the .proto files (--proto)",
                        evidence=message,
                        sure=False,
                    )
                )
        except CallError as error:
            step.see(f"{error.failure.status}: {showing(error.failure.details)}")
            step.skip("its reflection did not answer")
            self._silent = True
        else:
            names = ", ".join(showing(name, longest=80) for name in self._schema.services[:6])
            names += ", ..." if len(self._schema.services) > 6 else ""
            step.see(f"{len(self._schema.services)} services: {names}")

    def _call(self, step: Recorder) -> None:
        state = self._state
        if state.question.method is None:
            step.skip("no --method was given: nothing of the service's own was called")
            return
        text = state.question.method.strip()
        path, known, message, streams = self._request(step, text)
        if step.failed:
            return
        called = self._ask(
            path, message, state.question.call_timeout or max(state.left(_ALL), 0.3), streams=streams
        )
        self._called = called.failure is None
        if called.failure is None:
            size = len(called.answer)
            step.see(f"{path}: OK, {size} bytes in {called.seconds * 1000:.0f} ms")
            if called.seconds > _SLOW_CALL:
                step.find(slow_note(path, called.seconds))
            if size > _STOCK_LIMIT:
                step.find(
                    found(
                        "response-too-large",
                        f"The answer has {size} bytes: plain gRPC takes 4 MiB unless told otherwise.",
                        "set grpc.max_receive_message_length there; connect() takes 64 MiB",
                        severity="note",
                    )
                )
            return
        step.see(f"{path}: {called.failure.status}: {state.showing(called.failure.details)}")
        if is_about_token(called.failure):
            if not state.failed("gateway"):
                self._refused(step, path, message, called.failure, "call")
        else:
            finding = self._judged(called, path, known)
            if called.failure.http_status is None or not state.failed("gateway"):
                step.find(finding)

    def _request(self, step: Recorder, text: str) -> tuple[str, Known, bytes, bool]:
        """The path, what the schema knows of it, the request's bytes, and whether anything streams."""
        data = self._state.question.data
        service, _, name = text.strip("/").rpartition("/")
        if not service:
            service, _, name = text.rpartition(".")
        if not service and self._schema is None:
            step.find(
                found(
                    "request-invalid",
                    f"{text!r} names no service, and the schema is not known.",
                    "write --method package.Service/Method",
                )
            )
            return text, "unasked", b"", False
        path = f"/{service}/{name}"
        if self._schema is None:
            if data is not None and self._silent:
                step.skip("its reflection did not answer, so no request can be made of JSON")
            elif data is not None:
                step.find(
                    found(
                        "request-invalid",
                        "The request cannot be made of JSON: the service does not show its schema.",
                        "leave -d out to send an empty request, or serve it with reflection",
                    )
                )
            return path, "unasked", b"", False
        try:
            method = self._schema.method(text)
        except SchemaError as error:
            why = self._state.showing(str(error).partition("\n")[0])
            if not service:
                step.find(
                    found("request-invalid", f"The method {text!r} is not clear, so it was not called.", why)
                )
                return text, "unasked", b"", False
            step.see(why)
            known: Known = "service" if service in self._schema.services else "neither"
            return path, known, b"", False
        message = b""
        if data is not None:
            try:
                message = self._schema.parse(method.request, data, where="-d").SerializeToString()
            except Exception as error:
                step.find(
                    found(
                        "request-invalid",
                        f"The request's JSON does not fit {method.path}.",
                        self._state.showing(str(error)),
                    )
                )
        return method.path, "method", message, method.client_streaming or method.server_streaming

    def _limits(self, step: Recorder) -> None:
        size = self._state.question.max_request
        if size is None:
            step.skip("not asked for (--max-request)")
            return
        if fault := self._state.failed("gateway", "health", "call"):
            step.skip(f"not reached: see {fault}")
            return
        if self._called and self._state.question.method is not None:
            path, _, base, _ = self._request(step, self._state.question.method)
        elif self._has_health:
            path, base = HEALTH_CHECK, b""
        else:
            step.skip("nothing takes a request without doing something: name a method with --method")
            return
        began = time.monotonic()
        called = self._ask(path, padded(base, size), max(self._state.left(_ALL), 0.3))
        findings, told = judge_probe(size, called.failure, self._state.showing)
        step.find(*findings)
        step.see(f"{path}: {told} ({time.monotonic() - began:.1f} s)")

"""What is known while the chain runs: time, steps, findings, and how to reach the service with raw bytes."""

from __future__ import annotations

import re
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from eas_grpc.auth import AUTHORIZATION, Masked
from eas_grpc.doctor._address import Address
from eas_grpc.doctor._ask import RawConnection
from eas_grpc.doctor._catalogue import found
from eas_grpc.doctor._dial import Dialled, dial, open_tunnel
from eas_grpc.doctor._handshake import CertificateFiles, handshake
from eas_grpc.doctor._proxy import ProxyChoice
from eas_grpc.doctor._records import STEPS, Finding, Question, Step
from eas_grpc.doctor._seen import Answer
from eas_grpc.doctor._text import Showing
from eas_grpc.doctor._token import GivenToken
from eas_grpc.doctor._verdict import outcome
from eas_grpc.endpoint import Endpoint

__all__ = ["Recorder", "State"]

_SECRET_KEY = re.compile(r"authorization|token|key|secret|cookie|password", re.IGNORECASE)
_SHORTEST_STEP = 0.05
_LONGEST = 1000


@dataclass
class Recorder:
    """What one step saw and found; `why` is set where it was skipped."""

    evidence: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    why: str = ""

    def see(self, *lines: str) -> None:
        """Evidence, already fit to be shown."""
        self.evidence.extend(line for line in lines if line)

    def find(self, *findings: Finding) -> None:
        """Findings of this step."""
        self.findings.extend(findings)

    def skip(self, why: str) -> None:
        """The step cannot matter (any more)."""
        self.why = why

    @property
    def failed(self) -> bool:
        """Whether a fault was found."""
        return any(each.severity == "fault" for each in self.findings)


class State:
    """One examination. Every step goes through `step`, so that all have their time and their evidence."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.began = time.monotonic()
        self.steps: dict[str, Step] = {}
        self.recorders: dict[str, Recorder] = {}
        self.showing = Showing()
        self.address = Address(None)
        self.token = GivenToken()
        self.choice = ProxyChoice(None, None)
        self.files = CertificateFiles()
        self.addresses: tuple[str, ...] = ()
        self.raw = True
        self.answer: Answer | None = None
        # Time that was asked for on purpose does not count against the limit.
        self.waited = 0.0

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint; only after the address was found to be one."""
        assert self.address.endpoint is not None
        return self.address.endpoint

    @property
    def authority(self) -> str:
        """What goes into `:authority`."""
        return self.question.authority or self.endpoint.authority

    @property
    def tls_host(self) -> str:
        """The name that the certificate must be for."""
        given = self.question.authority
        if given is None:
            return self.endpoint.host
        return given[: given.rfind(":")] if re.search(r":\d+\Z", given) else given

    @property
    def elapsed(self) -> float:
        """Seconds so far, without what was waited on purpose."""
        return time.monotonic() - self.began - self.waited

    def left(self, most: float | None = None) -> float:
        """Seconds that a step may take: its own limit, or what is left of the whole."""
        rest = self.question.total - self.elapsed
        return max(_SHORTEST_STEP, min(rest, self.question.timeout if most is None else most))

    @contextmanager
    def step(self, name: str) -> Iterator[Recorder]:
        """Records one step; an exception of ours is evidence, so that the others still run."""
        recorder = Recorder()
        began = time.monotonic()
        try:
            yield recorder
        except Exception as error:
            # A diagnosis is no place for a traceback; that it is incomplete is a finding.
            told = f"{type(error).__name__}: {error}"
            advice = "report this, with --json: it is a bug of eas-grpc"
            recorder.find(
                found(
                    "call-failed",
                    f"The step {name} could not be examined.",
                    advice,
                    evidence=told,
                    sure=False,
                )
            )
        recorder.findings = [self._shown(each) for each in recorder.findings]
        self.recorders[name] = recorder
        evidence = [*recorder.evidence, *([recorder.why] if recorder.why else [])]
        self.steps[name] = Step(
            name=name,
            outcome="skipped" if recorder.why and not recorder.findings else outcome(recorder.findings),
            seconds=time.monotonic() - began,
            evidence=tuple(self.showing(line, longest=_LONGEST) for line in evidence),
        )

    def _shown(self, finding: Finding) -> Finding:
        """The last door: whatever came into a finding, it is safe to print."""
        return replace(
            finding,
            sentence=self.showing(finding.sentence, longest=_LONGEST),
            advice=self.showing(finding.advice, longest=_LONGEST),
            evidence=self.showing(finding.evidence, longest=_LONGEST),
        )

    def skip_rest(self, why: str) -> None:
        """Every step that has not run is skipped for this reason."""
        for name in STEPS:
            if name not in self.steps:
                self.steps[name] = Step(name=name, outcome="skipped", seconds=0.0, evidence=(why,))

    @property
    def findings(self) -> list[Finding]:
        """All findings so far."""
        return [
            finding for name in STEPS if name in self.recorders for finding in self.recorders[name].findings
        ]

    def failed(self, *names: str) -> str | None:
        """The first of these steps that found a fault."""
        return next((name for name in names if name in self.recorders and self.recorders[name].failed), None)

    def drop_faults(self, name: str, why: str) -> None:
        """Takes back what a step took for a fault: a later one has shown that it is none."""
        recorder = self.recorders[name]
        recorder.findings = [each for each in recorder.findings if each.severity != "fault"]
        was = self.steps[name]
        self.steps[name] = Step(
            name=name, outcome=outcome(recorder.findings), seconds=was.seconds, evidence=(*was.evidence, why)
        )

    def learn_secrets(self) -> None:
        """From now on nothing that is shown holds the token, or a value that looks like a secret."""
        secrets = list(self.token.secrets)
        for key, value in self.question.metadata:
            if _SECRET_KEY.search(key):
                text = value.decode("latin-1") if isinstance(value, bytes) else value
                secrets += [text, *text.split()]
        proxy = self.choice.plain
        if proxy is not None and proxy.login is not None:
            secrets += [proxy.login, proxy.login.partition(":")[2], b64encode(proxy.login.encode()).decode()]
        self.showing = Showing([each for each in secrets if each.lower() != "bearer"])

    def headers(self, *, bare: bool = False) -> list[tuple[str, bytes]]:
        """The metadata of a call as bytes, with the token as connect() sends it; `bare`: without `Bearer `."""
        made = []
        own = False
        for key, value in self.question.metadata:
            name = key.lower()
            own = own or name == AUTHORIZATION
            data = value.encode("latin-1", "replace") if isinstance(value, str) else value
            made.append((name, b64encode(data).rstrip(b"=") if name.endswith("-bin") else data))
        if self.token.token is not None and not own:
            made.append(
                (AUTHORIZATION, (self.token.token if bare else f"Bearer {self.token.token}").encode())
            )
        return made

    @property
    def own_authorization(self) -> bool:
        """Whether the caller's metadata replace the token."""
        return any(key.lower() == AUTHORIZATION for key, _ in self.question.metadata)

    def dial(self, timeout: float) -> Dialled:
        """TCP to the service, or to the proxy that leads there."""
        proxy = self.choice.ours
        return dial(
            self.endpoint, self.addresses, self.endpoint.port if proxy is None else proxy.port, timeout
        )

    def connected(self, timeout: float) -> socket.socket | None:
        """A socket that ends at the service, through the proxy where there is one; None where that failed."""
        dialled = self.dial(timeout)
        if dialled.sock is None or self.choice.ours is None:
            return dialled.sock
        tunnel = open_tunnel(dialled.sock, self.choice.ours, self.endpoint.authority, timeout)
        if tunnel.status is not None and tunnel.status // 100 == 2:
            return dialled.sock
        dialled.sock.close()
        return None

    def wrapped(self, sock: socket.socket, timeout: float) -> Any:
        """The handshake as gRPC makes it, and the socket to go on with."""
        question = self.question
        return handshake(
            sock,
            self.tls_host,
            self.files,
            question.environ,
            cert=question.cert,
            key=question.key,
            timeout=timeout,
        )

    def open(self, timeout: float) -> RawConnection | None:
        """A connection for raw HTTP/2, verified where it is TLS: only such a one may carry the token."""
        sock = self.connected(timeout)
        if sock is None:
            return None
        if not self.endpoint.tls:
            return RawConnection(sock, authority=self.authority, scheme="http")
        seen, secure = self.wrapped(sock, timeout)
        if secure is None or not seen.verified:
            with suppress(OSError):
                sock.close()
            return None
        return RawConnection(secure, authority=self.authority, scheme="https")

    def masked_token(self) -> str | None:
        """The token for connect(), which prints as a mask."""
        return None if self.token.token is None else Masked(self.token.token)

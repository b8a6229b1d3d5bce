"""The address as the user has it: what we make of it, and what a plain gRPC client must be given. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from eas_grpc.doctor._catalogue import found
from eas_grpc.doctor._records import Finding
from eas_grpc.endpoint import Endpoint
from eas_grpc.errors import ConfigError

__all__ = ["Address", "EasName", "eas_name", "judge_address"]

_EAS = ".pai-eas.aliyuncs.com"
_SCHEME = re.compile(r"(https?|grpcs?)://", re.IGNORECASE)
_RESOLVER = re.compile(r"(dns|ipv4|ipv6|unix|unix-abstract):", re.IGNORECASE)
_PORT = re.compile(r":\d+\Z")


@dataclass(frozen=True)
class EasName:
    """The parts of an EAS host; `service` is None for the address that all services of a user share."""

    service: str | None
    uid: str
    region: str
    vpc: bool

    def __str__(self) -> str:
        what = f"service {self.service!r} of" if self.service else "the shared address of"
        where = "reachable inside its VPC only" if self.vpc else "public"
        return f"EAS: {what} account {self.uid}, region {self.region}, {where}"


@dataclass(frozen=True)
class Address:
    """What the text means; `endpoint` is None where it is no address."""

    endpoint: Endpoint | None
    eas: EasName | None = None
    findings: tuple[Finding, ...] = ()
    evidence: tuple[str, ...] = ()


def eas_name(host: str) -> EasName | None:
    """`[<service>.]<uid>.[vpc.]<region>.pai-eas.aliyuncs.com` taken apart; None for any other host."""
    if not host.endswith(_EAS):
        return None
    labels = host.removesuffix(_EAS).split(".")
    vpc = "vpc" in labels[:-1]
    names = [label for label in labels if label != "vpc"]
    if len(names) not in (2, 3):
        return None
    return EasName(names[0] if len(names) == 3 else None, names[-2], names[-1], vpc)


def judge_address(text: str, *, tls: bool | None = None) -> Address:
    """Reads the address; `tls` decides where the text has no scheme of its own."""
    stripped = text.strip()
    scheme = _SCHEME.match(stripped)
    naming = _RESOLVER.match(stripped) if scheme is None else None
    written = stripped
    if tls is not None and scheme is None and naming is None:
        written = f"{'https' if tls else 'http'}://{stripped}"
    try:
        endpoint = Endpoint.parse(written)
        if scheme is not None and tls is not None and endpoint.tls is not tls:
            said = "plaintext" if tls is False else "TLS"
            raise ConfigError(
                f"the address says {scheme[0]!r} and an option says {said}: leave one of them out"
            )
    except ConfigError as error:
        sentence, _, advice = str(error).partition(": ")
        said = f"{sentence[:1].upper()}{sentence[1:]}."
        advice = advice or "copy the address from the service's details page in the console"
        return Address(None, findings=(found("endpoint-invalid", said, advice),))
    eas = eas_name(endpoint.host)
    rest = stripped[scheme.end() :] if scheme else stripped
    notes = [] if naming else _notes(endpoint, eas, scheme[0] if scheme else None, rest)
    return Address(endpoint, eas, tuple(notes), tuple(_evidence(endpoint, eas, stripped)))


def _notes(endpoint: Endpoint, eas: EasName | None, scheme: str | None, rest: str) -> list[Finding]:
    where, slash, _ = rest.partition("/")
    advice = _for_plain_grpc(endpoint)
    notes = []
    if scheme is not None:
        notes.append(
            found(
                "address-scheme",
                f"The address has {scheme} left on: a plain gRPC client takes it for a broken name"
                ' ("Misformatted domain name").',
                advice,
            )
        )
    if slash:
        lost = ""
        if eas is not None and eas.service is None and endpoint.service:
            lost = (
                f"; gRPC sends no path, so the host must name the service, perhaps"
                f" {endpoint.service}.{endpoint.host}"
            )
        notes.append(
            found(
                "address-path",
                "The address has a path left on: a plain gRPC client takes it for a broken port"
                ' ("Failed to parse port in name").',
                advice + lost,
            )
        )
    if not _PORT.search(where) and not endpoint.tls:
        notes.append(
            found("address-no-port", "The address has no port: a plain gRPC client would dial 443.", advice)
        )
    return notes


def _for_plain_grpc(endpoint: Endpoint) -> str:
    kind = "secure" if endpoint.tls else "insecure"
    return f"give grpc.{kind}_channel exactly '{endpoint.authority}'; eas_grpc.connect() takes both"


def _evidence(endpoint: Endpoint, eas: EasName | None, stripped: str) -> list[str]:
    kind = "TLS" if endpoint.tls else "plaintext"
    same = stripped == endpoint.authority
    lines = [f"{stripped}, {kind}" if same else f"{stripped} means {endpoint.authority}, {kind}"]
    if endpoint.socket is not None:
        lines = [f"{stripped} is a Unix socket, {kind}"]
    if eas is not None:
        lines.append(str(eas))
        if not endpoint.tls and endpoint.port != 80:
            lines.append(f"EAS takes gRPC on port 80, this is {endpoint.port}")
    if endpoint.service:
        lines.append(f"the path names service {endpoint.service!r}, which gRPC does not send")
    return lines

"""What names, connections and proxies that do not work mean. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from eas_grpc.doctor._address import EasName
from eas_grpc.doctor._catalogue import found
from eas_grpc.doctor._proxy import Proxy
from eas_grpc.doctor._records import Finding
from eas_grpc.doctor._seen import Attempt, Lookup, Tunnel
from eas_grpc.doctor._text import Showing
from eas_grpc.endpoint import Endpoint

__all__ = ["judge_dialling", "judge_names", "judge_proxy", "slow_note", "wait_note"]


def judge_names(host: str, python: Lookup, grpc: Lookup | None, eas: EasName | None) -> tuple[Finding, ...]:
    """Both resolvers' answers compared; `grpc` is None where it was not asked."""
    if grpc is not None and bool(python.addresses) != bool(grpc.addresses):
        knows, lacks = ("Python's", "gRPC's") if python.addresses else ("gRPC's", "Python's")
        other = "native" if python.addresses else "ares"
        broken = not grpc.addresses
        return (
            found(
                "resolver-disagrees",
                f"{knows} resolver finds {host}, {lacks} does not.",
                f"set GRPC_DNS_RESOLVER={other}, or use the IP address"
                if broken
                else f"calls by gRPC work; other programs here need {host} in the name service",
                evidence=f"Python: {_said(python)}; gRPC: {_said(grpc)}",
                severity="fault" if broken else "warning",
            ),
        )
    if python.addresses:
        return ()
    if eas is not None and eas.vpc:
        sentence = (
            f"The name {host} does not exist here: it is a VPC address and resolves only inside its VPC."
        )
        advice = "call from a machine in that VPC, or use the public address of the service"
    elif eas is not None:
        sentence = f"The name {host} does not exist: no EAS service has this address."
        advice = "copy the address again from the service's details page; a deleted service loses its name"
    elif python.failure == "unknown":
        sentence = f"The name {host} does not exist here."
        advice = "check the spelling; a private name resolves only inside its own network"
    else:
        sentence = f"The name {host} could not be looked up: {_said(python)}."
        advice = "check this machine's name server, and whether it is on the network at all"
    sure = python.failure == "unknown" or (grpc is not None and grpc.failure == "unknown")
    return (found("name-unknown", sentence, advice, evidence=_said(python), sure=sure),)


def _said(lookup: Lookup) -> str:
    return ", ".join(lookup.addresses) or lookup.detail or lookup.failure


def judge_dialling(
    endpoint: Endpoint, attempts: Sequence[Attempt], eas: EasName | None, proxy: Proxy | None = None
) -> tuple[Finding, ...]:
    """Why no connection came about; nothing where one did."""
    if any(attempt.outcome == "ok" for attempt in attempts):
        return ()
    tried = "; ".join(f"{each.address}: {each.detail or each.outcome}" for each in attempts)
    if proxy is not None:
        return (
            found(
                "proxy",
                f"The proxy {proxy} cannot be reached, and gRPC goes through it.",
                _around(endpoint, proxy),
                evidence=tried,
            ),
        )
    outcomes = {attempt.outcome for attempt in attempts}
    where = attempts[-1].address if attempts else endpoint.authority
    if outcomes == {"refused"} or (endpoint.socket is not None and "failed" in outcomes):
        if endpoint.socket is not None:
            return (
                found(
                    "refused",
                    f"Nothing listens on the socket {endpoint.socket}.",
                    "start the server, or check the path",
                    evidence=tried,
                ),
            )
        return (
            found("refused", f"Nothing listens on {where}.", _port_advice(endpoint, eas), evidence=tried),
        )
    sentence = f"{where} does not answer: no connection came about."
    advice = "check the network, a firewall or a security group on the way, and host and port"
    if eas is not None and eas.vpc:
        advice = "a VPC address answers only inside its VPC: call from there, and check the security group"
    # A slow network drops the first packet too, and its repetition comes after a second.
    return (found("unreachable", sentence, advice, evidence=tried, sure=outcomes == {"unreachable"}),)


def _port_advice(endpoint: Endpoint, eas: EasName | None) -> str:
    if eas is not None and endpoint.port != 80:
        return "EAS takes gRPC on port 80: leave the port out"
    if endpoint.is_loopback:
        return f"start the server (`eas-grpc serve --port {endpoint.port}`), or check the port"
    return "check host and port (EAS: port 80), and whether the server runs"


def judge_proxy(
    endpoint: Endpoint, proxy: Proxy, tunnel: Tunnel, showing: Showing, *, ours: bool
) -> tuple[Finding, ...]:
    """Whether the proxy lets gRPC through; `ours`: connect() goes through it, not only plain clients."""
    if tunnel.status is not None and tunnel.status // 100 == 2:
        return ()
    if tunnel.status is not None:
        what = f"answers {tunnel.status} instead of opening a tunnel"
    elif tunnel.answer:
        what = "does not answer as an HTTP proxy does"
    else:
        what = "says nothing" if tunnel.failure == "silence" else "closes the connection"
    who = "gRPC's connection" if ours else "the connection of a plain gRPC client"
    return (
        found(
            "proxy",
            f"The proxy {proxy} takes {who} to {endpoint.authority} and {what}.",
            _around(endpoint, proxy)
            if ours
            else f"connect() goes around it; for other clients {_leave_out(endpoint)}",
            evidence=showing(tunnel.answer),
            severity="fault" if ours else "warning",
        ),
    )


def _around(endpoint: Endpoint, proxy: Proxy) -> str:
    return f"go around it with --no-proxy (connect(..., proxy=False)), {_leave_out(endpoint)}, or mend {proxy.variable}"


def _leave_out(endpoint: Endpoint) -> str:
    return f"add {endpoint.host} to no_proxy (lower case)"


def wait_note(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """A note for whoever sees only a deadline in their own program."""
    if not any(finding.severity == "fault" for finding in findings):
        return ()
    return (
        found(
            "wait-for-ready",
            "A client with wait_for_ready, or channel_ready_future, hides this cause: it reports a deadline only.",
            "look for the cause with wait_for_ready off",
        ),
    )


def slow_note(what: str, seconds: float) -> Finding:
    """A note; a busy machine may be the reason, so it is never sure."""
    return found(
        "slow",
        f"It took {seconds:.1f} s: {what}.",
        "look at the load of the service and of this machine",
        sure=False,
    )

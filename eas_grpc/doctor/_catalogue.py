"""Every finding there is, by id: how grave, what it means and with which exit code. Data only.

The order decides between findings that are equally grave: what keeps a call from being sent comes before what
keeps it from arriving, and that before what is wrong with the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from eas_grpc.doctor._records import Finding, Severity

__all__ = ["CATALOGUE", "Kind", "found"]

_CHECK_FAILED, _USAGE, _LOCAL_FILE, _NOT_SERVING, _CANNOT_CONNECT = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Kind:
    """A finding in general. `exit` counts where it is a fault; None: 64 + the call's gRPC status."""

    id: str
    severity: Severity
    exit: int | None
    step: str
    meaning: str


def _faults(step: str, code: int | None, meanings: dict[str, str]) -> list[Kind]:
    return [Kind(name, "fault", code, step, meaning) for name, meaning in meanings.items()]


def _others(severity: Severity, kinds: dict[str, tuple[str, str]]) -> list[Kind]:
    return [Kind(name, severity, 0, step, meaning) for name, (step, meaning) in kinds.items()]


_GATEWAY = {
    "gateway-400": "the gateway could not read the request",
    "gateway-401": "the gateway refuses the token with HTTP 401",
    "gateway-403": "the gateway forbids the call with HTTP 403",
    "gateway-404": "no service or path behind this address, or a service without `enable_grpc`",
    "gateway-405": "the gateway does not take POST here: a service without `enable_grpc`",
    "gateway-408": "the service took longer than `metadata.rpc.keepalive` allows",
    "gateway-413": "the request is larger than the gateway takes (1 MB)",
    "gateway-429": "the rate limit is reached",
    "gateway-450": "the service's queue is full",
    "gateway-500": "the service or the gateway failed",
    "gateway-502": "the service broke its connection to the gateway",
    "gateway-503": "no instance of the service is ready",
    "gateway-504": "the service did not answer the gateway in time",
    "gateway-html": "a web page answers with HTTP 200, not a gRPC service",
    "gateway-other": "something in front of the service answers with another HTTP status",
}

_LIST = [
    *_faults(
        "address",
        _USAGE,
        {"endpoint-invalid": "the text is no address that gRPC can dial"},
    ),
    *_faults(
        "token",
        _USAGE,
        {"token-invalid": "the token cannot be sent: a line break inside, a letter outside ASCII"},
    ),
    *_faults(
        "tls", _LOCAL_FILE, {"ca-file-unreadable": "a file of --cacert, --cert or --key cannot be used"}
    ),
    *_faults(
        "proxy", _CANNOT_CONNECT, {"proxy": "a proxy of the environment takes the connection and fails it"}
    ),
    *_faults(
        "dns",
        _CANNOT_CONNECT,
        {
            "name-unknown": "the host's name does not exist here",
            "resolver-disagrees": "Python's resolver and gRPC's find different answers for the name",
        },
    ),
    *_faults(
        "tcp",
        _CANNOT_CONNECT,
        {
            "refused": "nothing listens on this port",
            "unreachable": "no answer to TCP: a firewall, a security group, another VPC",
        },
    ),
    *_faults(
        "tls",
        _CANNOT_CONNECT,
        {
            "plaintext-expected": "the address asks for TLS, the port speaks plaintext",
            "tls-unknown-ca": "the server's certificate is signed by nobody who is trusted here",
            "tls-expired": "the server's certificate has expired, or is not valid yet",
            "tls-wrong-host": "the server's certificate is for another name",
            "tls-client-certificate": "the server asks for a certificate of the client",
            "tls-failed": "the TLS handshake failed for another reason",
        },
    ),
    *_faults(
        "http2",
        _CANNOT_CONNECT,
        {
            "tls-expected": "the address asks for plaintext, the port speaks TLS",
            "http1-only": "an HTTP/1.1 server or proxy answers",
            "not-http2": "something that speaks neither HTTP/2 nor HTTP/1.1 answers",
            "closed": "the connection is accepted and closed without a byte",
            "silent": "the connection is accepted and nothing is ever said",
        },
    ),
    *_faults("call", None, {"token-wants-no-bearer": "the service takes the bare token, without `Bearer `"}),
    *_faults("call", None, {"token-missing": "the service wants a token and none was given"}),
    *_faults("call", None, {"token-refused": "the service does not accept this token"}),
    *_faults("gateway", None, _GATEWAY),
    *_faults(
        "health", _NOT_SERVING, {"health-not-serving": "the service answers, and says that it does not serve"}
    ),
    *_faults(
        "call",
        None,
        {
            "service-unknown": "no service of this name is there",
            "method-unknown": "the service is there, the method is not",
            "request-too-large": "the request is larger than the other side takes",
            "response-too-large": "the answer is larger than this side takes",
            "timeout": "the answer did not come in time",
            "call-failed": "the call failed with another status",
        },
    ),
    *_faults("call", _LOCAL_FILE, {"request-invalid": "the request's JSON does not fit the method"}),
    *_faults("keepalive", _CHECK_FAILED, {"idle-dropped": "a connection that is idle does not survive"}),
    *_others(
        "warning",
        {
            "keepalive-refused": ("keepalive", "the other side forbids pings this frequent"),
            "clock-skew": ("clock", "this machine's clock and the server's are far apart"),
            "reflection-broken": ("reflection", "the schema that the service tells is broken or incomplete"),
        },
    ),
    *_others(
        "note",
        {
            "address-scheme": ("address", "`http://` or `https://` is left on; plain gRPC takes no scheme"),
            "address-path": ("address", "a path is left on; plain gRPC takes none"),
            "address-no-port": ("address", "no port: plain gRPC would dial 443"),
            "token-spaces": ("token", "spaces or line breaks around the token, which others would send"),
            "token-bearer": ("token", "`Bearer ` in front of the token, which others would send twice"),
            "plaintext-token": ("token", "the token travels unencrypted over a public network"),
            "slow": ("call", "a step took unusually long"),
            "wait-for-ready": ("tcp", "with wait_for_ready gRPC hides this cause behind a deadline"),
            "health-missing": ("health", "no standard health service, so nobody can ask for its state"),
            "reflection-off": ("reflection", "no reflection: tools need the .proto files"),
        },
    ),
]

CATALOGUE: dict[str, Kind] = {kind.id: kind for kind in _LIST}


def found(
    name: str,
    sentence: str,
    advice: str = "",
    *,
    evidence: str = "",
    sure: bool = True,
    severity: Severity | None = None,
    status: int = 0,
    connected: bool = True,
) -> Finding:
    """A finding of this id; `status` is the number of the failed call's gRPC status, where there is one.

    `connected` is False where that status only says that there was no connection.
    """
    kind = CATALOGUE[name]
    grave = kind.severity if severity is None else severity
    code = 0
    if grave == "fault":
        code = _CHECK_FAILED if kind.exit in (None, 0) else kind.exit or _CHECK_FAILED
        if kind.exit is None and status:
            code = 64 + status if connected else _CANNOT_CONNECT
    return Finding(
        id=name, severity=grave, sentence=sentence, advice=advice, evidence=evidence, sure=sure, exit=code
    )

"""What a host name or an IP address is: legal or not, private or public. Pure text; looks nothing up.

`endpoint` builds on it. Messages never repeat the text that is refused: it may be a token or a password that
was pasted into the wrong place.
"""

from __future__ import annotations

import ipaddress
import re

from eas_grpc.errors import ConfigError

__all__ = ["check_host", "check_ipv6", "is_loopback", "is_private"]

# An underscore is no letter of a host name, but EAS service names and container names use it and resolve.
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")

# A name that ends in a number is an address to every resolver; some read "1.2" as 1.0.0.2.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# RFC 1918, 4193, 3927, 4291; 100.64.0.0/10 (RFC 6598) is where the cloud puts addresses inside a VPC.
_PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
        "fe80::/10",
    )
)
_PRIVATE_SUFFIXES = (".local", ".internal", ".svc", ".localhost")


def check_host(text: str) -> str:
    """A host name (lower case, IDNA-encoded) or IPv4 address as it is dialled; a ConfigError otherwise."""
    host = (text if text.isascii() else _idna(text)).lower()
    # A full stop at the end means the same name, but a gateway that routes by host does not know it.
    host = host.removesuffix(".")
    labels = host.split(".")
    if not host or "" in labels:
        raise ConfigError("the endpoint's host is empty or has two dots in a row: write it as 'host:80'")
    for label in labels:
        if len(label) > 63:
            raise ConfigError(
                f"a part of the endpoint's host has {len(label)} characters and 63 is the limit: "
                "is it really an address, and not a token?"
            )
        if not _LABEL.fullmatch(label):
            raise ConfigError(
                f"the endpoint's host holds {_first_bad(label)}: only letters, digits and '-' inside a name "
                "can stand there, as in 'host:80'"
            )
    if len(host) > 253:
        raise ConfigError(f"the endpoint's host has {len(host)} characters and 253 is the limit")
    if _NUMBER.fullmatch(labels[-1]):
        return _check_ipv4(host)
    return host


def check_ipv6(text: str) -> str:
    """An IPv6 address, without brackets, in its shortest form; a ConfigError otherwise."""
    if "%" in text:
        raise ConfigError("an IPv6 zone (the part from '%') cannot be part of an endpoint: leave it out")
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ConfigError(
            "only an IPv6 address can stand in square brackets, as in '[::1]:80'; a name goes without them"
        ) from None


def is_loopback(host: str) -> bool:
    """True where the host is this machine. `0.0.0.0` and `::` count: dialling them reaches it."""
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def is_private(host: str) -> bool:
    """True where the host can only be reached from inside: this machine, a VPC, a private or cluster network.

    VPC names on EAS: `<uid>.vpc.<region>.pai-eas.aliyuncs.com`, older `pai-eas-vpc.<region>.aliyuncs.com`
    (the EAS pages on VPC endpoints and on VPC direct connection).
    """
    if is_loopback(host):
        return True
    address = _address(host)
    if address is not None:
        return any(address in network for network in _PRIVATE_NETWORKS)
    labels = host.split(".")
    if host.endswith(".aliyuncs.com"):
        return "vpc" in labels or labels[0] == "pai-eas-vpc"
    return len(labels) == 1 or host.endswith(_PRIVATE_SUFFIXES)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _check_ipv4(host: str) -> str:
    if re.fullmatch(r"[0-9]{1,5}", host) and 1 <= int(host) <= 65535:
        raise ConfigError(f"the endpoint is only a number: write 'host:{host}' if {host} is the port")
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise ConfigError(
            "the endpoint's host ends in a number but is not an IPv4 address: "
            "write four numbers from 0 to 255 without leading zeros, as in '10.0.0.1:80'"
        ) from None


def _idna(text: str) -> str:
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError:
        raise ConfigError(
            f"the endpoint's host, which holds {_first_bad(text)}, is not an international name either: "
            "write it in ASCII, as in 'host:80'"
        ) from None


def _first_bad(text: str) -> str:
    bad = next((char for char in text if not re.fullmatch(r"[A-Za-z0-9_.-]", char)), None)
    if bad is None:
        return "a part that begins or ends with '-'"
    return repr(bad) if bad.isascii() else f"{bad!r} (U+{ord(bad):04X})"

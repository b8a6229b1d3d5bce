"""What a certificate says about itself, read from its DER bytes. Pure.

Python tells the fields of a certificate only after it has verified it, and here the ones of interest fail just that.
Enough of RFC 5280 for names and dates; nothing is decided by it, it only makes the advice concrete.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Certificate", "read_certificate"]

_COMMON_NAME = bytes.fromhex("550403")
_ALTERNATIVE_NAMES = bytes.fromhex("551d11")
_OID, _OCTETS, _VERSION, _EXTENSIONS = 0x06, 0x04, 0xA0, 0xA3
_DNS, _IP = 0x82, 0x87


@dataclass(frozen=True)
class Certificate:
    """Whom it is for, who signed it, and from when to when; empty where that could not be read."""

    names: tuple[str, ...] = ()
    subject: str = ""
    issuer: str = ""
    begins: dt.datetime | None = None
    ends: dt.datetime | None = None

    @property
    def self_signed(self) -> bool:
        """Whether it names itself as its signer."""
        return bool(self.subject) and self.subject == self.issuer

    def covers(self, host: str) -> bool:
        """Whether it is for this host (RFC 6125: `*` stands for one whole label, the first)."""
        wanted = host.lower().removesuffix(".")
        tail = wanted.partition(".")[2]
        return any(
            name == wanted or (name.startswith("*.") and name[2:] == tail != "") for name in self.names
        )

    def __str__(self) -> str:
        shown = ", ".join(self.names[:5]) + (", ..." if len(self.names) > 5 else "")
        parts = [f"for {shown or self.subject or 'nobody by name'}"]
        if self.issuer:
            parts.append("signed by itself" if self.self_signed else f"signed by {self.issuer}")
        if self.begins and self.ends:
            parts.append(f"valid from {self.begins:%Y-%m-%d %H:%M} to {self.ends:%Y-%m-%d %H:%M} UTC")
        return "; ".join(parts)


def read_certificate(der: bytes) -> Certificate:
    """The certificate's own words; what cannot be read stays empty, for a server may send anything."""
    try:
        return _read(der)
    except (ValueError, IndexError, StopIteration, OverflowError):
        return Certificate()


def _read(der: bytes) -> Certificate:
    body = next(_parts(next(_parts(der))[1]))[1]
    fields = list(_parts(body))
    if fields[0][0] == _VERSION:
        fields = fields[1:]
    # serial number, signature, issuer, validity, subject, key, ...
    issuer, validity, subject = fields[2][1], fields[3][1], fields[4][1]
    begins, ends = [_time(tag, value) for tag, value in _parts(validity)]
    names: tuple[str, ...] = ()
    for tag, value in fields[5:]:
        if tag == _EXTENSIONS:
            names = tuple(_alternative_names(value))
    common = _common_name(subject)
    if not names and common:
        names = (common.lower(),)
    return Certificate(names, common, _common_name(issuer), begins, ends)


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each element in a row."""
    place = 0
    while place < len(data):
        tag, length = data[place], data[place + 1]
        place += 2
        if length & 0x80:
            count = length & 0x7F
            if not 0 < count <= 4:
                raise ValueError("a length of this size is no certificate's")
            length = int.from_bytes(data[place : place + count], "big")
            place += count
        if place + length > len(data):
            raise ValueError("the element is cut off")
        yield tag, data[place : place + length]
        place += length


def _common_name(name: bytes) -> str:
    for _, group in _parts(name):
        for _, pair in _parts(group):
            entries = list(_parts(pair))
            if entries[0] == (_OID, _COMMON_NAME):
                return entries[1][1].decode("utf-8", "replace")
    return ""


def _alternative_names(extensions: bytes) -> Iterator[str]:
    for _, extension in _parts(next(_parts(extensions))[1]):
        entries = list(_parts(extension))
        if entries[0] != (_OID, _ALTERNATIVE_NAMES) or entries[-1][0] != _OCTETS:
            continue
        for tag, value in _parts(next(_parts(entries[-1][1]))[1]):
            if tag == _DNS:
                yield value.decode("ascii", "replace").lower()
            elif tag == _IP:
                yield str(ipaddress.ip_address(value))


def _time(tag: int, value: bytes) -> dt.datetime:
    # 0x17 UTCTime with two digits of the year (RFC 5280: 50 and above are 19xx), 0x18 GeneralizedTime.
    text = value.decode("ascii")
    if tag == 0x17:
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return dt.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=dt.timezone.utc)

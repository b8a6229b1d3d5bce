"""Servers whose certificates or protocol are wrong, and clients that have to notice (row F6).

The certificates are made when the row runs, by an authority that exists for as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import eas_grpc
from eas_grpc import aio
from eas_grpc.errors import CallError
from reliability.child import hear, say
from reliability.clients import OURS, collected, collected_aio, is_aio, metadata
from reliability.ledger import request
from server_demo.gateway import Certificate, Gateway, Service

__all__ = ["FAULTS", "Authority", "call", "servers"]

# What is wrong, and what the hint of our error has to say of it.
FAULTS = {
    "expired": "has expired",
    "wrong host": "for another name",
    "self-signed": "is not trusted",
    "TLS 1.0 only": "TLS 1.2 or newer",
}
_HOST = "127.0.0.1"
_DAY = dt.timedelta(days=1)


class Authority:
    """Signs certificates with a key that nobody keeps."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("reliability authority")
        self.certificate = _sign(self._name, self._name, self._key, self._key, authority=True)

    @property
    def pem(self) -> bytes:
        """What clients trust."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, host: str = _HOST, *, expired: bool = False) -> Certificate:
        """A certificate for a host, perhaps one that was valid until yesterday."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _sign(_name(host), self._name, key, self._key, host=host, expired=expired)
        return Certificate(signed.public_bytes(serialization.Encoding.PEM), _pem(key))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: Any,
    by: Any,
    *,
    host: str | None = None,
    expired: bool = False,
    authority: bool = False,
) -> x509.Certificate:
    now = dt.datetime.now(dt.timezone.utc)
    end = now - _DAY if expired else now + _DAY
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - 10 * _DAY)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if host is not None:
        try:
            known: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            known = x509.DNSName(host)
        builder = builder.add_extension(x509.SubjectAlternativeName([known]), critical=False)
    return builder.sign(by, hashes.SHA256())


def servers(upstream: str, token: str, folder: str) -> None:
    """A gateway for each certificate and a server of TLS 1.0; writes what clients trust into `folder`.

    Says `ready` with the addresses; a word asks how many calls each gateway saw.
    """
    authority = Authority()
    root = Path(folder, "root.pem")
    root.write_bytes(authority.pem)
    certificates = {
        "good": authority.issue(),
        "expired": authority.issue(expired=True),
        "wrong host": authority.issue("other.example"),
        "self-signed": Certificate.selfsigned(),
    }
    with ExitStack() as stack:
        gateways = {
            name: stack.enter_context(
                Gateway(Service(name="tls", grpc=upstream, tokens=(token,)), certificate=certificate)
            )
            for name, certificate in certificates.items()
        }
        old = stack.enter_context(_tls_1_0(authority.issue()))
        addresses = {name: each.address for name, each in gateways.items()}
        say("ready", addresses={**addresses, "TLS 1.0 only": old}, speaks=_speaks_tls_1_0(old, root))
        while hear():
            say("seen", calls={name: len(each.calls()) for name, each in gateways.items()})


@contextlib.contextmanager
def _tls_1_0(certificate: Certificate) -> Any:
    """Shakes hands in TLS 1.0 and then says nothing; the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _only_tls_1_0(context)
    context.set_alpn_protocols(["h2"])
    with tempfile.TemporaryDirectory() as folder:
        chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
        chain.write_bytes(certificate.chain)
        key.write_bytes(certificate.key)
        context.load_cert_chain(chain, key)
    with socket.create_server((_HOST, 0)) as listener:
        threading.Thread(target=_shake_hands, args=(listener, context), daemon=True).start()
        yield f"{_HOST}:{listener.getsockname()[1]}"


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    kept = []
    while True:
        try:
            one, _ = listener.accept()
        except OSError:
            return
        one.settimeout(5)
        with contextlib.suppress(OSError):
            kept.append(context.wrap_socket(one, server_side=True))


def _only_tls_1_0(context: ssl.SSLContext) -> None:
    # The OpenSSL of today refuses it, unless asked twice.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1


def _speaks_tls_1_0(address: str, root: Path) -> str:
    """What a client that allows it agrees on there: otherwise its refusal by others would mean nothing."""
    context = ssl.create_default_context(cafile=str(root))
    _only_tls_1_0(context)
    host, _, port = address.rpartition(":")
    try:
        with (
            socket.create_connection((host, int(port)), 5) as plain,
            context.wrap_socket(plain, server_hostname=host) as one,
        ):
            return one.version() or ""
    except OSError as error:
        return f"nothing: {error}"


def call(kind: str, addresses: dict[str, str], token: str, root: str) -> dict[str, dict[str, Any]]:
    """One call to each address: its status, and what the error says."""
    trusted = Path(root).read_bytes()
    return {name: _outcome(kind, address, token, trusted) for name, address in addresses.items()}


def _outcome(kind: str, address: str, token: str, trusted: bytes) -> dict[str, Any]:
    credentials = grpc.ssl_channel_credentials(trusted)
    said: dict[str, Any] = {"timeout": 5.0, "metadata": metadata(kind, token)}
    messages = [request("tls")]

    def opened() -> Any:
        if kind in OURS:
            connect = aio.connect if is_aio(kind) else eas_grpc.connect
            return connect(f"https://{address}", token=token, credentials=credentials)
        return (grpc.aio if is_aio(kind) else grpc).secure_channel(address, credentials)

    async def there() -> list[bytes]:
        async with opened() as channel:
            return await collected_aio(channel, "unary_unary", messages, **said)

    try:
        if is_aio(kind):
            asyncio.run(there())
        else:
            with opened() as channel:
                collected(channel, "unary_unary", messages, **said)
    except grpc.RpcError as error:
        hint = error.hint if isinstance(error, CallError) else ""
        return {"status": error.code().name, "details": str(error.details()), "hint": hint}
    return {"status": "OK", "details": "", "hint": ""}

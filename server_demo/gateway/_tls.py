"""The gateway's certificate: one of the user's, or one that it signs itself."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from eas_grpc.errors import ConfigError

__all__ = ["Certificate"]

_VALID_DAYS = 7


@dataclass(frozen=True)
class Certificate:
    """A chain and its key in PEM. A client that is to trust a self-signed one needs `chain` as its root."""

    chain: bytes
    key: bytes = field(repr=False)

    @classmethod
    def load(cls, chain: str | os.PathLike[str], key: str | os.PathLike[str]) -> Certificate:
        """From two files. Raises ConfigError for what cannot be read or does not belong together."""
        try:
            found = cls(Path(chain).read_bytes(), Path(key).read_bytes())
        except OSError as error:
            raise ConfigError(
                f"the certificate file {error.filename} cannot be read: {error.strerror}"
            ) from None
        try:
            found.context()
        except ConfigError as error:
            raise ConfigError(f"{chain} with {key}: {error}") from None
        return found

    @classmethod
    def selfsigned(cls, *hosts: str) -> Certificate:
        """For these names and addresses, beside localhost and 127.0.0.1; valid for a week."""
        try:
            from cryptography import x509
            from cryptography.hazmat.primitives import hashes, serialization
            from cryptography.hazmat.primitives.asymmetric import ec
        except ImportError:
            raise ConfigError(
                "a self-signed certificate needs the package cryptography: pip install 'eas-grpc[serve]'"
            ) from None
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "eas-grpc loopback gateway")])
        now = dt.datetime.now(dt.timezone.utc)
        known = dict.fromkeys(("localhost", "*.localhost", "127.0.0.1", "::1", *hosts))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=_VALID_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.SubjectAlternativeName(
                    [
                        x509.IPAddress(ipaddress.ip_address(host))
                        if _is_address(host)
                        else x509.DNSName(host)
                        for host in known
                    ]
                ),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        return cls(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )

    def context(self) -> ssl.SSLContext:
        """For a server of HTTP/2 and HTTP/1.1. Raises ConfigError if the two do not belong together."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["h2", "http/1.1"])
        # Python's ssl reads files alone; they are gone before anybody else could look.
        with tempfile.TemporaryDirectory() as folder:
            chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
            chain.write_bytes(self.chain)
            key.touch(mode=0o600)
            key.write_bytes(self.key)
            try:
                context.load_cert_chain(chain, key)
            except (ssl.SSLError, ValueError) as error:
                raise ConfigError(f"certificate and key cannot be used together: {error}") from None
        return context


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

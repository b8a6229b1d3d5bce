"""TLS from files: what to trust, and who we are."""

from __future__ import annotations

from pathlib import Path

import grpc

from eas_grpc.errors import ConfigError

__all__ = ["authority_option", "credentials_from_files"]


def credentials_from_files(
    cacert: Path | None, cert: Path | None, key: Path | None
) -> grpc.ChannelCredentials | None:
    """Credentials from PEM files; None where none is given. Raises ConfigError for files that cannot be used."""
    if cacert is None and cert is None and key is None:
        return None
    if (cert is None) != (key is None):
        raise ConfigError("a certificate and its key belong together: give both or none")
    trusted, own, secret = (
        None if path is None else _pem(path, kind)
        for path, kind in ((cacert, "certificate"), (cert, "certificate"), (key, "key"))
    )
    return grpc.ssl_channel_credentials(trusted, secret, own)


def authority_option(name: str, *, tls: bool) -> tuple[str, str]:
    """The channel argument by which another name than the dialled one is asked for, and looked for in its certificate."""
    return ("grpc.ssl_target_name_override" if tls else "grpc.default_authority", name)


def _pem(path: Path, kind: str) -> bytes:
    """The file's bytes. What grpc cannot read it reports as a failed handshake only, so the form is looked at here."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the {kind} {path} cannot be read: {error.strerror}") from None
    wanted = b"PRIVATE KEY-----" if kind == "key" else b"-----BEGIN CERTIFICATE-----"
    if wanted not in data:
        raise ConfigError(f"{path} holds no {kind} in PEM form, the text that begins with -----BEGIN")
    return data

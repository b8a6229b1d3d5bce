"""The TLS handshake as gRPC would make it, and whose certificate it was. I/O only; `_tls` decides."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from eas_grpc.doctor._certificate import Certificate, read_certificate
from eas_grpc.doctor._seen import Handshake
from eas_grpc.doctor._tls import handshake_problem

__all__ = ["CertificateFiles", "handshake", "load_files", "probe_tls"]

_ROOTS_VARIABLE = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"


@dataclass(frozen=True)
class CertificateFiles:
    """The bytes of --cacert, --cert and --key; what is None was not given. `problem` says what cannot be used."""

    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = None
    problem: str = ""


def load_files(ca: object, cert: object, key: object) -> CertificateFiles:
    """Reads the files and lets OpenSSL judge them; a `problem` names the first that cannot be used."""
    read: list[bytes | None] = []
    for option, path in (("--cacert", ca), ("--cert", cert), ("--key", key)):
        try:
            read.append(None if path is None else Path(str(path)).read_bytes())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no path"
            return CertificateFiles(problem=f"the file {path} of {option} cannot be read: {reason}")
    files = CertificateFiles(read[0], read[1], read[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if files.ca is not None:
        try:
            context.load_verify_locations(cadata=files.ca.decode("ascii", "ignore"))
        except (ssl.SSLError, ValueError):
            return CertificateFiles(problem=f"the file {ca} of --cacert holds no certificate in PEM form")
    if (cert is None) != (key is None):
        return CertificateFiles(problem="--cert and --key belong together: one of them is missing")
    if cert is not None:
        try:
            context.load_cert_chain(str(cert), str(key), password=lambda: b"")
        except (ssl.SSLError, OSError, ValueError):
            return CertificateFiles(
                problem=f"the certificate {cert} and the key {key} do not fit, or are no PEM files"
            )
    return files


def _context(
    files: CertificateFiles, environ: Mapping[str, str], cert: object, key: object
) -> ssl.SSLContext:
    """Trusts what gRPC trusts: the given file, else its own list, which is not the system's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    roots = files.ca
    if roots is None and environ.get(_ROOTS_VARIABLE):
        with contextlib.suppress(OSError):
            roots = Path(environ[_ROOTS_VARIABLE]).read_bytes()
    if roots is None:
        import pkgutil

        with contextlib.suppress(OSError):
            roots = pkgutil.get_data("grpc", "_cython/_credentials/roots.pem")
    if roots is None:
        context.load_default_certs()
    else:
        with contextlib.suppress(ssl.SSLError):
            context.load_verify_locations(cadata=roots.decode("ascii", "ignore"))
    if cert is not None:
        context.load_cert_chain(str(cert), str(key), password=lambda: b"")
    return context


def handshake(
    sock: socket.socket,
    host: str,
    files: CertificateFiles,
    environ: Mapping[str, str],
    *,
    cert: object,
    key: object,
    timeout: float,
) -> tuple[Handshake, ssl.SSLSocket | None]:
    """The handshake on a connected socket, verified; the socket to go on with, where it went well."""
    return _shake(sock, _context(files, environ, cert, key), host, timeout)


def probe_tls(connect: Callable[[], socket.socket | None], host: str, timeout: float) -> Handshake:
    """Does the port speak TLS, and whose certificate has it? Verifies nothing and sends nothing after it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    sock = connect()
    if sock is None:
        return Handshake("closed")
    with sock:
        done, secure = _shake(sock, context, host, timeout)
        if secure is not None:
            secure.close()
        return done


def _shake(
    sock: socket.socket, context: ssl.SSLContext, host: str, timeout: float
) -> tuple[Handshake, ssl.SSLSocket | None]:
    sock.settimeout(timeout)
    try:
        secure = context.wrap_socket(sock, server_hostname=host)
    except (OSError, ValueError) as error:
        verify = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
        kind = "timeout" if isinstance(error, TimeoutError) else type(error).__name__
        reason = getattr(error, "reason", None) or str(error)
        problem = handshake_problem(kind, str(reason), verify)
        detail = getattr(error, "verify_message", "") or str(reason)
        return Handshake(problem, detail), None
    return (
        Handshake(
            alpn=secure.selected_alpn_protocol(),
            version=secure.version() or "",
            certificate=_certificate_of(secure),
        ),
        secure,
    )


def _certificate_of(secure: ssl.SSLSocket) -> Certificate | None:
    der = secure.getpeercert(binary_form=True)
    return None if der is None else read_certificate(der)

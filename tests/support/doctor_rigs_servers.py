"""Stock gRPC servers for the rows of the doctor: grpcio's own health and reflection, and nothing of ours but the greeter's messages."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from eas_grpc_pb.greeter.v1 import greeter_pb2_grpc
from eas_grpc_pb.greeter.v1.greeter_pb2 import DESCRIPTOR, HelloResponse
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

SERVICE = DESCRIPTOR.services_by_name["GreeterService"].full_name
SAY_HELLO = f"{SERVICE}/SayHello"

# Of stock servers: what a client may send them, when nobody says otherwise.
STOCK_LIMIT = 4 * 1024 * 1024


class Pair(NamedTuple):
    """A key and its certificate chain, in PEM."""

    key: bytes
    chain: bytes


class Authority:
    """Signs certificates with a key that nobody keeps."""

    def __init__(self, name: str = "an authority of the tests") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = name
        self.pem = _pem(_signed(name, self._key, self._key, name, ca=True))

    def issue(self, *hosts: str, expired: bool = False) -> Pair:
        """A certificate for these hosts, perhaps one that ended yesterday."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(hosts[0], key, self._key, self._name, hosts=hosts, expired=expired)
        return Pair(_key_pem(key), _pem(certificate))


def self_signed(*hosts: str) -> Pair:
    """A certificate that nobody but itself vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Pair(_key_pem(key), _pem(_signed(hosts[0], key, key, hosts[0], hosts=hosts)))


def _key_pem(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _signed(
    name: str,
    key: Any,
    by: Any,
    issuer: str,
    *,
    hosts: Sequence[str] = (),
    ca: bool = False,
    expired: bool = False,
) -> x509.Certificate:
    day = dt.timedelta(days=1)
    end = dt.datetime.now(dt.timezone.utc) + (-day if expired else day)
    named = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)]) for each in (name, issuer)]
    builder = (
        x509.CertificateBuilder(issuer_name=named[1], subject_name=named[0])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - 10 * day)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_known(each) for each in hosts]), False)
    return builder.sign(by, hashes.SHA256())


def _known(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@dataclass(frozen=True)
class Door:
    """Who may call, after `delay` seconds: those whose `authorization` is `wanted`, where the path begins with `asks`.

    Paths that begin with `shut` nobody may call.
    """

    wanted: str | None = None
    asks: str = "/"
    delay: float = 0.0
    shut: str | None = None


OPEN = Door()


class _Keeper(grpc.ServerInterceptor):
    """Keeps the door of one server."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._over = threading.Event()

    def end_delays(self) -> None:
        """The server stops."""
        self._over.set()

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        if self._door.delay:
            self._over.wait(self._door.delay)
        given = dict(details.invocation_metadata).get("authorization")
        asked = self._door.wanted is not None and details.method.startswith(self._door.asks)
        if asked and given != self._door.wanted:
            return _refusing(handler, grpc.StatusCode.UNAUTHENTICATED, "this is not the token")
        if self._door.shut is not None and details.method.startswith(self._door.shut):
            return _refusing(handler, grpc.StatusCode.PERMISSION_DENIED, "not for you")
        return handler


def _refusing(handler: Any, status: grpc.StatusCode, text: str) -> Any:
    """A handler of the same shape that only says no."""

    def refuse(_: Any, context: grpc.ServicerContext) -> Any:
        context.abort(status, text)

    shape = (handler.request_streaming, handler.response_streaming) if handler else (False, False)
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[shape]
    return make(refuse)


class _Greeter(greeter_pb2_grpc.GreeterServiceServicer):
    def __init__(self, size: int) -> None:
        self._size = size

    def SayHello(self, request: Any, context: Any) -> HelloResponse:
        return HelloResponse(message="x" * self._size or f"Hello, {request.name}!")


@contextmanager
def stock(
    *,
    door: Door = OPEN,
    pair: Pair | None = None,
    health_status: str | None = "SERVING",
    reflects: bool = True,
    answer_size: int = 0,
    options: Sequence[tuple[str, Any]] = (),
    listens: str = "127.0.0.1",
    port: int = 0,
    client_root: bytes | None = None,
) -> Iterator[int]:
    """A stock server of the greeter; its port.

    `health_status=None` leaves the health service out; `client_root` asks every client for a certificate of that authority.
    `listens` may be the path of a Unix socket.
    """
    pool = ThreadPoolExecutor(8)
    keeper = _Keeper(door)
    server = grpc.server(pool, interceptors=[keeper], options=[("grpc.so_reuseport", 0), *options])
    greeter_pb2_grpc.add_GreeterServiceServicer_to_server(_Greeter(answer_size), server)
    names = [SERVICE]
    if health_status is not None:
        servicer = health.HealthServicer()
        for name in ("", SERVICE):
            servicer.set(name, health_pb2.HealthCheckResponse.ServingStatus.Value(health_status))
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        names.append(health.SERVICE_NAME)
    if reflects:
        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
    address = f"[{listens}]:{port}" if ":" in listens else f"{listens}:{port}"
    if listens.startswith("/"):
        address = f"unix:{listens}"
    if pair is None:
        bound = server.add_insecure_port(address)
    else:
        asks = client_root is not None
        credentials = grpc.ssl_server_credentials([tuple(pair)], client_root, require_client_auth=asks)
        bound = server.add_secure_port(address, credentials)
    server.start()
    try:
        yield bound
    finally:
        keeper.end_delays()
        server.stop(0).wait(10)
        pool.shutdown(wait=True)


# Reflection is there, and refuses everybody.
SHUT_REFLECTION = Door(shut="/grpc.reflection.")

HAPROXY = shutil.which("haproxy") or (Path("/usr/sbin/haproxy").exists() and "/usr/sbin/haproxy") or None

_CONFIGURATION = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend all
    bind fd@{fd} proto h2
    default_backend service
backend service
    server one 127.0.0.1:{port} proto h2
"""


@contextmanager
def haproxy_to(port: int, folder: Path) -> Iterator[int]:
    """haproxy in front of a port of this machine, over HTTP/2 on both sides; its own port."""
    assert HAPROXY
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Named by its descriptor, the port is taken before haproxy runs, and nobody needs to wait for it.
        fd = os.dup(listener.fileno())
        configuration = folder / "haproxy.cfg"
        configuration.write_text(_CONFIGURATION.format(fd=fd, port=port))
        process = subprocess.Popen(
            [HAPROXY, "-db", "-f", str(configuration)],
            pass_fds=[fd],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(fd)
        try:
            yield listener.getsockname()[1]
        finally:
            process.kill()
            process.wait(10)

"""`Endpoint.target` against grpcio itself: a real server, dialled by each way of writing its address."""

import tempfile
from concurrent import futures
from pathlib import Path

import grpc
import pytest

from eas_grpc.endpoint import Endpoint


class _Anything(grpc.GenericRpcHandler):
    """Answers every call with an empty message."""

    def service(self, handler_call_details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")


@pytest.fixture(scope="module")
def addresses():
    server = grpc.server(
        futures.ThreadPoolExecutor(2), handlers=[_Anything()], options=[("grpc.so_reuseport", 0)]
    )
    # pytest's own folders can be too long for a socket's path.
    with tempfile.TemporaryDirectory(prefix="eas ") as folder:
        path = Path(folder, "100%.sock")
        ports = {
            "v4": server.add_insecure_port("127.0.0.1:0"),
            "socket": str(path),
        }
        server.add_insecure_port(Endpoint.parse(f"unix:{path}").target)
        server.add_insecure_port("unix-abstract:" + path.parent.name.replace(" ", "-"))
        ports["abstract"] = path.parent.name.replace(" ", "-")
        try:
            ports["v6"] = server.add_insecure_port("[::1]:0")
        except RuntimeError:
            ports["v6"] = None
        server.start()
        yield ports
        server.stop(0).wait()


@pytest.mark.parametrize(
    "form",
    [
        "127.0.0.1:{v4}",
        "localhost:{v4}",
        "LOCALHOST.:{v4}",
        "http://localhost:{v4}/api/predict/svc/",
        "dns:///localhost:{v4}",
        "ipv4:127.0.0.1:{v4}",
        "[::1]:{v6}",
        "ipv6:[::1]:{v6}",
        "unix:{socket}",
        "unix://{socket}",
        "unix-abstract:{abstract}",
    ],
)
def test_grpcio_reaches_the_server_by_every_way_of_writing_it(addresses, form):
    if "{v6}" in form and addresses["v6"] is None:
        pytest.skip("no IPv6 loopback on this machine")
    endpoint = Endpoint.parse(form.format(**addresses))
    options = [("grpc.default_authority", endpoint.authority)]
    with grpc.insecure_channel(endpoint.target, options=options) as channel:
        assert channel.unary_unary("/test.Any/Any")(b"", timeout=10) == b""

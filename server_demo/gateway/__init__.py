"""A loopback gateway that behaves, and fails, as EAS's own does: gRPC and HTTP on one port, in front of any service.

    with Gateway(Service(name="greeter", grpc="127.0.0.1:9000", tokens=("t",))) as gateway:
        with gateway.faults.latency(0.2, calls=3):
            ...  # calls to gateway.address

What there is to know about using it stands in docs/gateway.md, how it is built in docs/architecture.md.
"""

from __future__ import annotations

from server_demo.gateway._discovery import Instance
from server_demo.gateway._faults import ActiveFault, TraceEntry
from server_demo.gateway._http_service import Handler, Request, Response
from server_demo.gateway._records import Record
from server_demo.gateway._tls import Certificate
from server_demo.gateway.faults import Faults, Switch
from server_demo.gateway.gateway import Gateway
from server_demo.gateway.options import GatewayOptions, Service

__all__ = [
    "ActiveFault",
    "Certificate",
    "Faults",
    "Gateway",
    "GatewayOptions",
    "Handler",
    "Instance",
    "Record",
    "Request",
    "Response",
    "Service",
    "Switch",
    "TraceEntry",
]

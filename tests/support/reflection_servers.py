"""Servers whose reflection is as a test wants it: of one version, incomplete, refused, or talking nonsense.

The messages are those of grpcio-reflection, so ours are judged by somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2 as pb

NOT_FOUND = 5
BOTH = ("v1", "v1alpha")


@dataclass
class Reflected:
    """What a server tells: files by the names that it knows them by, and the services that it lists."""

    files: dict[str, FileDescriptorProto] = field(default_factory=dict)
    services: list[str] | None = None
    versions: tuple[str, ...] = BOTH
    # Every file with all that it imports, as most servers answer; else one file an answer.
    whole: bool = False
    questions: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    def answer(self, request: Any) -> Any:
        """One answer as bytes, or as a message."""
        kind = request.WhichOneof("message_request")
        value = getattr(request, kind)
        self.questions.append(f"{kind} {value}".strip())
        if kind == "list_services":
            return self._listed()
        if kind == "file_by_filename":
            found = self.files.get(value)
        else:
            found = next((each for each in self.files.values() if value in declared(each)), None)
        if found is None:
            error = pb.ErrorResponse(error_code=NOT_FOUND, error_message=f"{value} not found")
            return pb.ServerReflectionResponse(error_response=error)
        return files_answer(self._with_imports(found) if self.whole else [found])

    def _listed(self) -> Any:
        names = self.services
        if names is None:
            names = [
                f"{file.package}.{service.name}".lstrip(".")
                for file in self.files.values()
                for service in file.service
            ]
        listed = pb.ListServiceResponse(service=[pb.ServiceResponse(name=each) for each in names])
        return pb.ServerReflectionResponse(list_services_response=listed)

    def _with_imports(self, file: FileDescriptorProto) -> list[FileDescriptorProto]:
        found = {file.name: file}
        waiting = list(file.dependency)
        while waiting:
            name = waiting.pop()
            if name in self.files and name not in found:
                found[name] = self.files[name]
                waiting += self.files[name].dependency
        return list(found.values())


def files_answer(files: Iterable[FileDescriptorProto | bytes]) -> Any:
    data = [each if isinstance(each, bytes) else each.SerializeToString() for each in files]
    return pb.ServerReflectionResponse(
        file_descriptor_response=pb.FileDescriptorResponse(file_descriptor_proto=data)
    )


def declared(file: FileDescriptorProto) -> set[str]:
    """The names that a symbol question finds a file by."""
    prefix = f"{file.package}." if file.package else ""
    messages = {prefix + each.name for each in (*file.message_type, *file.enum_type, *file.service)}
    methods = {f"{prefix}{each.name}.{method.name}" for each in file.service for method in each.method}
    return messages | methods


@contextmanager
def reflecting(
    told: Reflected,
    *,
    handlers: Iterable[grpc.GenericRpcHandler] = (),
    converse: Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]] | None = None,
) -> Iterator[str]:
    """A server on a port of its own; `converse` takes the place of the honest conversation. Gives the address."""

    def honest(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        told.tokens.append(dict(context.invocation_metadata()).get("authorization"))
        for request in requests:
            yield told.answer(request)

    def to_bytes(answer: Any) -> bytes:
        return answer if isinstance(answer, bytes) else answer.SerializeToString()

    handler = grpc.stream_stream_rpc_method_handler(
        converse or honest, pb.ServerReflectionRequest.FromString, to_bytes
    )
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    for version in told.versions:
        name = f"grpc.reflection.{version}.ServerReflection"
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler}),)
        )
    server.add_generic_rpc_handlers(tuple(handlers))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait(10)


def files_of(texts: Any) -> dict[str, FileDescriptorProto]:
    """Files by name from the text of protos, without comments, as programs carry them; protobuf's own left out."""
    from support.schemas import descriptors

    found = {}
    for file in descriptors(texts).file:
        copy = FileDescriptorProto()
        copy.CopyFrom(file)
        copy.ClearField("source_code_info")
        if not copy.name.startswith("google/protobuf/"):
            found[copy.name] = copy
    return found


TYPES = """
syntax = "proto3";
package acme.common;
message Money { int64 units = 1; }
enum Unit { UNIT_UNSPECIFIED = 0; UNIT_PIECE = 1; }
"""
SHOP = """
syntax = "proto3";
package acme.shop;
import "acme/common/types.proto";
import "google/protobuf/timestamp.proto";
service Shop {
  rpc Buy(Order) returns (Receipt);
  rpc Watch(Order) returns (stream Receipt);
}
message Order { string item = 1; acme.common.Unit unit = 2; }
message Receipt { acme.common.Money price = 1; google.protobuf.Timestamp at = 2; }
"""
STOCK = """
syntax = "proto3";
package acme.stock;
service Stock { rpc Count(Query) returns (Answer); }
message Query { string item = 1; }
message Answer { int64 count = 1; }
"""
PROTOS = {"acme/common/types.proto": TYPES, "acme/shop/shop.proto": SHOP, "acme/stock/stock.proto": STOCK}


def shop_files() -> dict[str, FileDescriptorProto]:
    """A small shop: one file imports another and one of protobuf's own, a third stands alone."""
    return files_of(PROTOS)

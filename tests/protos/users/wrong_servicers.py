"""Wrong in every line that says so; the rest is right."""

from __future__ import annotations

import grpc
from my_service.pb.acme.common.v1 import types_pb2
from my_service.pb.acme.names.v1 import my_svc_pb2, my_svc_pb2_grpc
from my_service.pb.acme.names.v1.dotted import name_pb2_grpc

Context = grpc.ServicerContext


class WrongReply(my_svc_pb2_grpc.MySvcServicer):
    def Send(self, request: my_svc_pb2.Ping, context: Context) -> types_pb2.Thing:  # wrong: reply type
        return types_pb2.Thing()


class WrongRequest(my_svc_pb2_grpc.MySvcServicer):
    def Send(self, request: types_pb2.Thing, context: Context) -> my_svc_pb2.Ping:  # wrong: request type
        return my_svc_pb2.Ping()


class WrongArguments(my_svc_pb2_grpc.MySvcServicer):
    def Send(self, request: my_svc_pb2.Ping) -> my_svc_pb2.Ping:  # wrong: the context is missing
        return request


class WrongReturn(my_svc_pb2_grpc.MySvcServicer):
    def Send(self, request: my_svc_pb2.Ping, context: Context) -> my_svc_pb2.Ping:
        return request.text  # wrong: a string returned for a message


class WrongShape(my_svc_pb2_grpc.MySvcServicer):
    def Send(self, request: my_svc_pb2.Ping, context: Context) -> my_svc_pb2.Ping:
        context.abort("NOT_FOUND", "no")  # wrong: a status that is a string
        return request


class Misspelt(my_svc_pb2_grpc.MySvcServicer):
    def Sent(self, request: my_svc_pb2.Ping, context: Context) -> my_svc_pb2.Ping:
        return request


def serve(server: grpc.Server) -> None:
    Misspelt()  # wrong: its only method is not the one that the service has
    my_svc_pb2_grpc.add_MySvcServicer_to_server(object(), server)  # wrong: not a servicer
    name_pb2_grpc.add_DottedServicer_to_server(WrongReturn(), server)  # wrong: of another service

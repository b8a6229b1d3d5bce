"""The text of portable service modules. Reference: the modules that grpcio's own generator wrote for our protos."""

import importlib
from types import SimpleNamespace

import grpc
import pytest
from google.protobuf import empty_pb2, text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from eas_grpc.codegen.portable import service_module

STOCK = [
    "eas_grpc_pb.greeter.v1.greeter",
    "eas_grpc_pb.open_inference.v2.open_inference",
    "eas_grpc_pb.tf_serving.v1.model_service",
    "eas_grpc_pb.tf_serving.v1.prediction_service",
]
SHAPES = [("unary_unary", ""), ("unary_stream", "s"), ("stream_unary", "c"), ("stream_stream", "cs")]


class Channel:
    """Writes down what a stub asks of it."""

    def __init__(self):
        self.asked = {}

    def __getattr__(self, shape):
        def call(path, request_serializer, response_deserializer, **_):
            self.asked[path] = (shape, request_serializer, response_deserializer)

        return call


class Server:
    """Writes down what is added to it."""

    def __init__(self):
        self.handlers = []

    def add_generic_rpc_handlers(self, handlers):
        self.handlers += handlers

    def add_registered_method_handlers(self, service, handlers):
        pass  # what only newer versions of grpcio have

    def find(self, method):
        details = SimpleNamespace(method=method, invocation_metadata=())
        (found,) = [handler.service(details) for handler in self.handlers]
        return found


def executed(text: str) -> dict:
    names = {"__name__": "some_pb2_grpc"}
    exec(compile(text, "some_pb2_grpc.py", "exec"), names)
    return names


def set_of(stem: str) -> tuple[FileDescriptorProto, list[FileDescriptorProto], dict[str, str]]:
    files, modules = [], {}

    def visit(descriptor):
        file = FileDescriptorProto.FromString(descriptor.serialized_pb)
        files.append(file)
        modules[file.name] = file.name.removesuffix(".proto").replace("/", ".") + "_pb2"
        for each in descriptor.dependencies:
            visit(each)

    visit(importlib.import_module(f"{stem}_pb2").DESCRIPTOR)
    return files[0], files, modules


def written(text: str, **chosen: bool) -> str:
    file = text_format.Parse(text, FileDescriptorProto())
    return service_module(
        file, files=[file], modules={file.name: "shapes_pb2"}, **{"client": True, "servicer": True, **chosen}
    )


def commented(comments: str) -> dict:
    return executed(
        written(
            'name: "a.proto" service { name: "A" } '
            f"source_code_info {{ location {{ path: 6 path: 0 span: [1, 2, 3] {comments} }} }}"
        )
    )


@pytest.mark.parametrize("stem", STOCK)
def test_stubs_and_servicers_do_what_stock_ones_do(stem):
    file, files, modules = set_of(stem)
    stock = vars(importlib.import_module(f"{stem}_pb2_grpc"))

    ours = executed(service_module(file, files=files, modules=modules, client=True, servicer=True))

    for service in file.service:
        channels = Channel(), Channel()
        for names, channel in zip((stock, ours), channels):
            names[f"{service.name}Stub"](channel)
        assert channels[0].asked == channels[1].asked
        assert len(channels[0].asked) == len(service.method) > 0
        for method in channels[0].asked:
            found = []
            for names in (stock, ours):
                server = Server()
                servicer = names[f"{service.name}Servicer"]()
                names[f"add_{service.name}Servicer_to_server"](servicer, server)
                handler = server.find(method)
                assert handler.request_streaming == ("stream" in channels[0].asked[method][0].split("_")[0])
                found.append(handler)
            for part in (
                "request_streaming",
                "response_streaming",
                "request_deserializer",
                "response_serializer",
            ):
                assert getattr(found[0], part) == getattr(found[1], part)


@pytest.mark.parametrize(("shape", "streams"), SHAPES, ids=[shape for shape, _ in SHAPES])
def test_a_method_that_nobody_wrote_is_unimplemented(shape, streams):
    file = text_format.Parse(
        'name: "a.proto" package: "acme" service { name: "S" method { name: "Go" '
        'input_type: ".google.protobuf.Empty" output_type: ".google.protobuf.Empty" } }',
        FileDescriptorProto(),
    )
    file.service[0].method[0].client_streaming = "c" in streams
    file.service[0].method[0].server_streaming = "s" in streams
    empty = FileDescriptorProto.FromString(empty_pb2.DESCRIPTOR.serialized_pb)
    modules = {file.name: "a_pb2", empty.name: "google.protobuf.empty_pb2"}
    names = executed(service_module(file, files=[file, empty], modules=modules, client=True, servicer=True))
    said = {}
    context = SimpleNamespace(
        set_code=lambda code: said.update(code=code), set_details=lambda text: said.update(text=text)
    )

    server = Server()
    names["add_SServicer_to_server"](names["SServicer"](), server)
    handler = server.find("/acme.S/Go")

    with pytest.raises(NotImplementedError):
        getattr(handler, shape)(None, context)
    assert said == {"code": grpc.StatusCode.UNIMPLEMENTED, "text": "Method not implemented!"}


@pytest.mark.parametrize(
    ("client", "servicer", "expected"),
    [
        (True, True, {"AStub", "AServicer", "add_AServicer_to_server"}),
        (True, False, {"AStub"}),
        (False, True, {"AServicer", "add_AServicer_to_server"}),
    ],
)
def test_either_side_can_be_left_out(client, servicer, expected):
    names = executed(written('name: "a.proto" service { name: "A" }', client=client, servicer=servicer))

    assert {name for name in names if "A" in name and not name.startswith("GRPC")} == expected


def test_nested_messages_and_files_without_a_package_are_found_by_their_full_names():
    text = written(
        'name: "a.proto" message_type { name: "Outer" nested_type { name: "Inner" } } service { name: "A" '
        'method { name: "Go" input_type: ".Outer.Inner" output_type: ".Outer" } }'
    )

    assert '"/A/Go"' in text
    assert "request_serializer=shapes__pb2.Outer.Inner.SerializeToString" in text
    assert "response_deserializer=shapes__pb2.Outer.FromString" in text


@pytest.mark.parametrize(
    ("comments", "expected"),
    [
        ("", "Missing associated documentation comment in .proto file."),
        (r'leading_comments: " One line.\n"', "One line."),
        (r'leading_comments: " Said \"so\"\n"', 'Said "so" '),
        (r'leading_comments: " \"\"\" and \\d\n"', '""" and \\d'),
        (r'leading_comments: " ends in \\\n"', "ends in \\"),
        (
            r"""leading_detached_comments: " Far.\n" leading_comments: " Near:\n   code\n\n more\n"
            trailing_comments: " After.\n" """,
            "Far.\n    Near:\n      code\n\n    more\n    After.\n    ",
        ),
    ],
    ids=["none", "one", "ends-in-quote", "quotes", "backslash", "all-kinds"],
)
def test_comments_of_the_proto_are_docstrings_whatever_they_hold(comments, expected):
    names = commented(comments)

    assert names["AStub"].__doc__ == expected
    assert names["AServicer"].__doc__ == expected


def test_comments_of_a_method_stand_in_the_servicer():
    text = written(
        'name: "a.proto" message_type { name: "M" } '
        'service { name: "A" method { name: "Go" input_type: ".M" output_type: ".M" } } '
        r'source_code_info { location { path: [6, 0, 2, 0] span: [1, 2, 3] trailing_comments: " Goes.\n" } }'
    )

    assert 'def Go(self, request, context):\n        """Goes."""\n' in text

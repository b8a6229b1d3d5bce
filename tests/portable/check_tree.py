"""Use a generated tree as a program would, and print `ok`; any failure is a traceback.

A program for environments that hold protobuf and grpcio and nothing of ours. Arguments: the folder to import
from, the tree's package (may be empty), and a file of what was recorded of stock output, the reference: bytes
that messages must serialize to and be parsed from, and names. With `--record` it writes that file instead.
"""

import argparse
import ast
import asyncio
import copy
import importlib
import json
import os
import pickle
import sys
import types
import warnings
from concurrent.futures import ThreadPoolExecutor

import google.protobuf
import grpc
from google.protobuf import descriptor_pool, empty_pb2, json_format, text_format, timestamp_pb2
from google.protobuf.message import Message

EDITIONS = tuple(map(int, google.protobuf.__version__.split(".")[:2])) >= (5, 27)
IS_PURE = isinstance(descriptor_pool.Default(), descriptor_pool.DescriptorPool)


class Tree:
    def __init__(self, root, package):
        self.root, self.package = root, package

    def __call__(self, stem):
        return importlib.import_module(f"{self.package}.{stem}" if self.package else stem)

    def stems(self):
        top = os.path.join(self.root, *self.package.split("."))
        for folder, folders, files in os.walk(top):
            folders.sort()
            for file in sorted(files):
                if file.endswith(("_pb2.py", "_pb2_grpc.py")):
                    yield os.path.relpath(os.path.join(folder, file), top)[:-3].replace(os.sep, ".")


def samples(tree):
    base, api = tree("acme.v1.base_pb2"), tree("acme.v1.api_pb2")
    old = base.Base(name="n", deltas=[1, -2, 300], kind=base.Base.Kind.Value("None"), plain_name="ö")
    old.item.add(raw=b"\x00\xff")
    old.item.add()
    old.inners["a"].deep.kind = base.Base.UNKNOWN
    old.at.FromJsonString("2020-01-02T03:04:05.006Z")
    old.Extensions[base.Base.Inner.nested_inner].deep.kind = base.Base.SMALL
    yield old
    new = api.Request(count=0, values=[1.5, float("inf")], blob=b"\n\"'\\", **{"from": "here"})
    new.part.text = "p"
    new.parts[3].text = "three"
    new.weights["w"] = 0.5
    new.colours[True] = api.COLOUR_RED
    new.at.FromSeconds(1234567890)
    new.patience.FromMilliseconds(1500)
    new.extras.update({"k": [1, "two", None, {"three": True}]})
    new.mask.FromJsonString("a,bC")
    new.boxed.value = 0
    new.base.MergeFrom(old)
    new.next.next.point.x = -5
    new.payload.Pack(api.Reply(texts=["t"]))
    yield new
    yield api.Request(colour=api.COLOUR_RED)
    yield api.Point(x=-1, y=2)
    if EDITIONS:
        modern = tree("acme.v1.edition_pb2").Modern(plain=0, tracked=0, loose=[1, 2])
        modern.grouped.plain = 4
        yield modern


def public_names(module):
    """What a module by protoc defines, but for its own workings and grpcio's experiment."""
    inner = {"_globals", "_sym_db", "_version_not_supported", "first_version_is_lower"}
    experiment = {name[:-4] for name in vars(module) if name.endswith("Stub")}
    return sorted(
        name
        for name, value in vars(module).items()
        if not (name.startswith("__") or isinstance(value, types.ModuleType))
        and name not in inner | experiment
    )


def extended(tree):
    # Not among the samples: implementations write several extensions in different orders.
    base = tree("acme.v1.base_pb2")
    old = next(samples(tree))
    old.Extensions[base.extra] = 9
    old.Extensions[base.tags].extend(["x", "y"])
    old.Extensions[base.level] = base.BELOW
    return old


def check_names(tree):
    """Every name of the type stubs is there; so is every name of stock output."""
    count = 0
    for stem in tree.stems():
        path = os.path.join(tree.root, *tree.package.split("."), *stem.split(".")) + ".pyi"
        if (stem.endswith("edition_pb2") and not EDITIONS) or not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as file:
            count += check_stub(ast.parse(file.read()), tree(stem), stem)
    assert count > 170, count


def check_stub(node, found, where):
    """Private names, aliases for type checkers and what is marked as existing only for them do not count."""
    count = 0
    for item in node.body:
        if isinstance(item, ast.AnnAssign):
            name = item.target.id
        elif isinstance(item, (ast.FunctionDef, ast.ClassDef)):
            name = item.name
            if any(
                getattr(each, "attr", "") in ("type_check_only", "overload") for each in item.decorator_list
            ):
                continue
        else:
            continue
        if name.startswith(("_", "Global___")):
            continue
        # A multi-callable of a stub is an attribute of its instances.
        if isinstance(node, ast.ClassDef) and node.name.endswith("Stub"):
            continue
        # Fields are attributes of a message, and not everywhere of its class.
        is_message = isinstance(found, type) and issubclass(found, Message)
        assert hasattr(found() if is_message else found, name), f"{where}.{name}"
        count += 1
        if isinstance(item, ast.ClassDef):
            count += check_stub(item, getattr(found, name), f"{where}.{name}")
    return count


def check_messages(tree, recorded):
    made = list(samples(tree))
    for message, expected in zip(made, recorded):
        name = type(message).__qualname__
        data = message.SerializeToString(deterministic=True)
        assert data.hex() == expected, name
        assert type(message).FromString(data) == message, name
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            loaded = pickle.loads(pickle.dumps(message, protocol))
            assert type(loaded) is type(message) and loaded == message, name
        copied = copy.deepcopy(message)
        assert copied == message and copied is not message, name
        assert text_format.Parse(text_format.MessageToString(message), type(message)()) == message, name
        pool = message.DESCRIPTOR.file.pool
        text = json_format.MessageToJson(message, descriptor_pool=pool)
        if "acme.v1.Base" not in text and "[" not in str(message):
            assert json_format.Parse(text, type(message)(), descriptor_pool=pool) == message, name
        module = sys.modules[type(message).__module__]
        assert getattr(module, name) is type(message)
    return made


def check_details(tree, new):
    old = extended(tree)
    base, api, points = tree("acme.v1.base_pb2"), tree("acme.v1.api_pb2"), tree("acme.v1.types_x.y_pb2")
    assert api.Point is points.Point and api.COLOUR_RED == 1 and api.Colour.Name(1) == "COLOUR_RED"
    assert (
        base.Level.items() == [("LOW", 0), ("HIGH", 1), ("BELOW", -1)]
        or dict(base.Level.items())["BELOW"] == -1
    )
    assert base.Level.DESCRIPTOR is base._LEVEL and base.Base.DESCRIPTOR is base._BASE
    assert base._BASE_INNER_DEEP.full_name == "acme.v1.Base.Inner.Deep"
    assert base.Base.Inner.Deep.__qualname__ == "Base.Inner.Deep"
    assert base.Base.Inner.Deep.__module__ == base.__name__
    assert api._ECHO.full_name == "acme.v1.Echo" and api.Request.COUNT_FIELD_NUMBER == 1
    assert base.EXTRA_FIELD_NUMBER == 100 and base.UNIT_FIELD_NUMBER == 50001
    inner = old.inners["a"]
    for nested in (inner, inner.deep, old.item[0], new.part, new.parts[3]):
        loaded = pickle.loads(pickle.dumps(nested))
        assert type(loaded) is type(nested) and loaded == nested
        assert copy.deepcopy(nested) == nested == copy.copy(nested)
    assert isinstance(old, Message) and isinstance(inner.deep, base.Base.Inner.Deep)
    empty = base.Base()
    assert (empty.id, empty.kind, empty.ratio, empty.plain_name) == (7, 1, float("-inf"), "ü")
    assert base.Base.Item().raw == b"\"\\\xff'" and not empty.IsInitialized()
    again = base.Base.FromString(old.SerializeToString())
    assert again == old and again.Extensions[base.tags] == ["x", "y"] and again.Extensions[base.level] == -1
    assert again.Extensions[base.Base.Inner.nested_inner].deep.kind == base.Base.SMALL
    assert pickle.loads(pickle.dumps(old)) == old == copy.deepcopy(old)
    assert old.HasExtension(base.extra) and len(old.ListFields()) == 11
    assert api._REQUEST.fields_by_name["count"].GetOptions().Extensions[base.unit] == "s"
    if not IS_PURE:  # the file that defines an option is read before the option is known
        assert base._BASE.fields_by_name["id"].GetOptions().Extensions[base.unit] == "ms"
    assert base._BASE.fields_by_name["ratio"].json_name == "theRatio"
    assert base._BASE.fields_by_name["plain_name"].json_name == "plainName"
    assert (
        new.HasField("count") and new.WhichOneof("choice") == "part" and not api.Request().HasField("count")
    )
    assert new.at.ToJsonString() == "2009-02-13T23:31:30Z" and new.extras["k"][3]["three"] is True
    reply = api.Reply()
    assert new.payload.Is(api.Reply.DESCRIPTOR) and new.payload.Unpack(reply) and reply.texts == ["t"]
    assert api.Request(at=timestamp_pb2.Timestamp(seconds=3)).at.seconds == 3
    assert type(new.at) is timestamp_pb2.Timestamp
    if EDITIONS:
        modern = tree("acme.v1.edition_pb2").Modern(tracked=0)
        assert modern.HasField("tracked") and modern.SerializeToString() == b"\x10\x00"
    else:
        try:
            tree("acme.v1.edition_pb2")
        except ImportError as error:
            assert "5.27" in str(error), error
        else:
            raise AssertionError("a runtime without editions imported one")


def check_calls(tree):
    api, services = tree("acme.v1.api_pb2"), tree("acme.v1.api_pb2_grpc")

    class Echo(services.EchoServicer):
        def One(self, request, context):
            return api.Reply(texts=[request.text])

        def Down(self, request, context):
            return (api.Reply(texts=[request.text, str(i)]) for i in range(3))

        def Up(self, request_iterator, context):
            return api.Reply(texts=[each.text for each in request_iterator])

        def Both(self, request_iterator, context):
            return (api.Reply(texts=[each.text]) for each in request_iterator)

    server = grpc.server(ThreadPoolExecutor(4))
    services.add_EchoServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    requests = [api.Request(text=text) for text in "abc"]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = services.EchoStub(channel)
        assert stub.One(requests[0], timeout=30).texts == ["a"]
        assert [each.texts[1] for each in stub.Down(api.Request.Part(text="p"), timeout=30)] == [
            "0",
            "1",
            "2",
        ]
        assert stub.Up(iter(requests), timeout=30).texts == ["a", "b", "c"]
        assert [each.texts[0] for each in stub.Both(iter(requests), timeout=30)] == ["a", "b", "c"]
        try:
            stub.Nothing(empty_pb2.Empty(), timeout=30)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        else:
            raise AssertionError("a method that nobody wrote answered")
    server.stop(0).wait()


async def check_aio_calls(tree):
    api, services = tree("acme.v1.api_pb2"), tree("acme.v1.api_pb2_grpc")

    class Echo(services.EchoServicer):
        async def One(self, request, context):
            return api.Reply(texts=[request.text])

        async def Down(self, request, context):
            for i in range(3):
                yield api.Reply(texts=[request.text, str(i)])

        async def Up(self, request_iterator, context):
            return api.Reply(texts=[each.text async for each in request_iterator])

        async def Both(self, request_iterator, context):
            async for each in request_iterator:
                yield api.Reply(texts=[each.text])

        async def Nothing(self, request, context):
            return empty_pb2.Empty()

    server = grpc.aio.server()
    services.add_EchoServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    requests = [api.Request(text=text) for text in "abc"]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = services.EchoStub(channel)
        assert (await stub.One(requests[0], timeout=30)).texts == ["a"]
        down = stub.Down(api.Request.Part(text="p"), timeout=30)
        assert [each.texts[1] async for each in down] == ["0", "1", "2"]
        assert (await stub.Up(iter(requests), timeout=30)).texts == ["a", "b", "c"]
        assert [each.texts[0] async for each in stub.Both(iter(requests), timeout=30)] == ["a", "b", "c"]
        assert await stub.Nothing(empty_pb2.Empty(), timeout=30) == empty_pb2.Empty()
    await server.stop(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("package")
    parser.add_argument("samples")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, options.root)
    tree = Tree(options.root, options.package)
    if options.record:
        record = {
            "samples": [each.SerializeToString(deterministic=True).hex() for each in samples(tree)],
            "names": {stem: public_names(tree(stem)) for stem in tree.stems()},
        }
        with open(options.samples, "w", encoding="utf-8") as file:
            json.dump(record, file)
        return
    with open(options.samples, encoding="utf-8") as file:
        recorded = json.load(file)
    for stem in tree.stems():
        if EDITIONS or not stem.endswith("edition_pb2"):
            missing = set(recorded["names"].pop(stem)) - set(vars(tree(stem)))
            assert not missing, (stem, missing)
    assert len(recorded["names"]) == (0 if EDITIONS else 1), recorded["names"]
    # An import must not warn even with `-W error`; what protobuf does later is its own affair.
    warnings.resetwarnings()
    made = check_messages(tree, recorded["samples"])
    assert len(made) == len(recorded["samples"]) - (0 if EDITIONS else 1)
    check_details(tree, made[1])
    check_names(tree)
    assert tree("acme.v1.api_pb2").DESCRIPTOR.pool is descriptor_pool.Default()
    check_calls(tree)
    asyncio.run(check_aio_calls(tree))
    print("ok")


if __name__ == "__main__":
    main()

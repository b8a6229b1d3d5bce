"""Two files `helloworld.proto` that differ, with one package and one set of names, in one process.

protobuf holds one message of a name per process, so stock output of the second cannot be imported. Generated with
`--package` both can, in either order, and beside a third one that came from protoc itself.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.generated import PYTHON, Tree, generate, need_tools, write

ONE = """syntax = "proto3";
package helloworld;
import "google/protobuf/timestamp.proto";

message HelloRequest {
  string name = 1;
  google.protobuf.Timestamp at = 2;
}

message HelloReply {
  message Detail {
    string text = 1;
  }
  string message = 1;
  Mood mood = 2;
  repeated Detail details = 3;
}

enum Mood {
  MOOD_UNSPECIFIED = 0;
  MOOD_GLAD = 1;
}

service Greeter {
  rpc SayHello(HelloRequest) returns (HelloReply);
  rpc Chat(stream HelloRequest) returns (stream HelloReply);
}
"""
TWO = (
    ONE.replace("string name = 1;", "int64 number = 1;")
    .replace("string text = 1;", "double value = 1;")
    .replace("MOOD_GLAD = 1", "MOOD_SAD = 2")
)

# Imports the modules in the order given, then uses them all; each has its own idea of a request.
PROGRAM = """
import asyncio, copy, importlib, json, pickle, sys
from concurrent.futures import ThreadPoolExecutor
import grpc
from google.protobuf import json_format, timestamp_pb2

def load(name):
    return importlib.import_module(name), importlib.import_module(name + "_grpc")

kinds = json.loads(sys.argv[1])
loaded = [(*load(name), kind) for name, kind in kinds]

def request(m, kind):
    made = m.HelloRequest(name="n") if kind == "one" else m.HelloRequest(number=5)
    made.at.FromSeconds(7)
    return made

def reply(m, kind):
    made = m.HelloReply(message=kind, mood=m.MOOD_GLAD if kind == "one" else m.MOOD_SAD)
    if kind == "one":
        made.details.add(text="t")
    else:
        made.details.add(value=2.5)
    return made

for m, g, kind in loaded:
    for made in (request(m, kind), reply(m, kind)):
        cls = type(made)
        assert cls.__module__ == m.__name__, cls.__module__
        for each in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made), cls.FromString(made.SerializeToString()),
                     json_format.Parse(json_format.MessageToJson(made), cls())):
            assert type(each) is cls and each == made
    assert m.HelloReply.DESCRIPTOR.full_name == "helloworld.HelloReply"
    assert [f.name for f in m.HelloRequest.DESCRIPTOR.fields][0] == ("name" if kind == "one" else "number")
    assert m.Mood.keys() == ["MOOD_UNSPECIFIED", "MOOD_GLAD" if kind == "one" else "MOOD_SAD"]
    try:
        m.HelloRequest(**({"number": 5} if kind == "one" else {"name": "n"}))
    except ValueError:
        pass
    else:
        raise AssertionError("the other file's field is accepted")

def serve(m, g, kind):
    class Greeter(g.GreeterServicer):
        def SayHello(self, asked, context):
            assert type(asked) is m.HelloRequest and asked == request(m, kind), asked
            return reply(m, kind)
        def Chat(self, asked, context):
            for each in asked:
                yield self.SayHello(each, context)
    server = grpc.server(ThreadPoolExecutor(2))
    g.add_GreeterServicer_to_server(Greeter(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"

async def over_aio(m, g, kind, address):
    async with grpc.aio.insecure_channel(address) as channel:
        stub = g.GreeterStub(channel)
        assert await stub.SayHello(request(m, kind), timeout=20) == reply(m, kind)
        assert [each async for each in stub.Chat(iter([request(m, kind)] * 2), timeout=20)] == [reply(m, kind)] * 2

servers = [serve(*each) for each in loaded]
calls = 0
for (m, g, kind), (_, address) in zip(loaded, servers):
    with grpc.insecure_channel(address) as channel:
        stub = g.GreeterStub(channel)
        got = stub.SayHello(request(m, kind), timeout=20)
        assert got == reply(m, kind) and type(got) is m.HelloReply
        assert list(stub.Chat(iter([request(m, kind)] * 3), timeout=20)) == [reply(m, kind)] * 3
    asyncio.run(over_aio(m, g, kind, address))
    calls += 4
for server, _ in servers:
    server.stop(None).wait()
pools = len({id(m.DESCRIPTOR.pool) for m, _, _ in loaded})
print(json.dumps({"calls": calls, "pools": pools}))
"""


@pytest.fixture(scope="module", params=["current", "portable"])
def home(request, tmp_path_factory) -> Path:
    """Packages `a` and `b` with one file each, and a stock `helloworld_pb2` of the first at the root."""
    need_tools()
    folder = write(
        tmp_path_factory.mktemp("two"),
        {
            "one/helloworld.proto": ONE,
            "two/helloworld.proto": TWO,
            "a/__init__.py": "",
            "b/__init__.py": "",
        },
    )
    runtime = ("--runtime", request.param)
    generate("one", "--out", "a/pb", "--package", "a.pb", *runtime, cwd=folder)
    generate("two", "--out", "b/pb", "--package", "b.pb", *runtime, cwd=folder)
    stock = [
        PYTHON,
        "-m",
        "grpc_tools.protoc",
        "-Ione",
        "--python_out=.",
        "--grpc_python_out=.",
        "helloworld.proto",
    ]
    subprocess.run(stock, cwd=folder, check=True)
    return folder


def use(home: Path, *modules: tuple[str, str]) -> dict[str, int]:
    """Run the program; each module comes with the file that it was made of."""
    return json.loads(run(home, PROGRAM, json.dumps(modules)))


def run(home: Path, source: str, argument: str = "") -> str:
    tree = Tree(root=home)
    return tree.python(f"import sys; sys.argv = ['', {argument!r}]\n{source}")


A, B, STOCK = ("a.pb.helloworld_pb2", "one"), ("b.pb.helloworld_pb2", "two"), ("helloworld_pb2", "one")


@pytest.mark.parametrize("order", [(A, B), (B, A)], ids=["a first", "b first"])
def test_both_are_used_in_one_process(home, order):
    """Built, pickled, served and called in both colours, each by its own fields."""
    assert use(home, *order) == {"calls": 8, "pools": 2}


@pytest.mark.parametrize("ours", [A, B], ids=["the same file", "another file"])
def test_stock_output_that_came_first_is_no_obstacle(home, ours):
    """Some dependency has a `helloworld_pb2` of its own, at the very name."""
    assert use(home, STOCK, ours) == {"calls": 8, "pools": 2}


def test_all_three_at_once(home):
    """The stock one first; the two packages keep out of each other's way too."""
    assert use(home, STOCK, B, A) == {"calls": 12, "pools": 3}


def test_alone_a_tree_lives_in_the_default_pool(home):
    """So Any, server reflection and everything else that looks up names works as with stock output."""
    assert use(home, A) == {"calls": 4, "pools": 1}
    said = run(
        home,
        "from google.protobuf import any_pb2, descriptor_pool, json_format\n"
        "from a.pb import helloworld_pb2 as m\n"
        "assert m.DESCRIPTOR.pool is descriptor_pool.Default()\n"
        "packed = any_pb2.Any(); packed.Pack(m.HelloRequest(name='x'))\n"
        "print(json_format.MessageToDict(packed)['name'])\n",
    )
    assert said == "x\n"


def test_bytes_are_the_same_in_whichever_pool(home):
    """A client of one speaks to a server of a stock module of the same file."""
    source = (
        "import {first} as first, {second} as second\n"
        "text = first.HelloRequest(name='x').SerializeToString()\n"
        "assert second.HelloRequest.FromString(text).name == 'x'\n"
        "assert second.HelloRequest.FromString(text).SerializeToString() == text\n"
        "assert type(second.HelloRequest()) is not type(first.HelloRequest())\n"
        "print(len(text))"
    )
    assert run(home, source.format(first="helloworld_pb2", second="a.pb.helloworld_pb2")) == "3\n"


def test_stock_output_that_comes_second_says_so_in_protobufs_words(home):
    """The limit: ours took the names in the default pool, and nothing can make protoc's module look elsewhere."""
    source = (
        "import b.pb.helloworld_pb2\n"
        "try:\n"
        "    import helloworld_pb2\n"
        "except TypeError as error:\n"
        "    print('duplicate' in str(error))\n"
    )
    assert run(home, source) == "True\n"

"""Use two trees with the same proto package and names in one process, and print `ok`.

A program for environments that hold protobuf and grpcio and nothing of ours. Arguments: the folder to import
from, and two packages in the order of import, each with the letters that its `helloworld` differs by.
"""

import copy
import importlib
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf import descriptor_pool


def check_messages(messages, is_first, number):
    assert (messages.DESCRIPTOR.pool is descriptor_pool.Default()) is is_first
    reply = messages.HelloReply(message="m", mood=messages.MOOD_GLAD)
    reply.at.FromSeconds(5)
    setattr(reply.detail, "words" if number else "text", "d")
    assert reply.at.ToJsonString() == "1970-01-01T00:00:05Z"
    data = reply.SerializeToString(deterministic=True)
    assert data == b"\n\x01m\x12\x02\x08\x05\x1a\x03" + (b"\x12" if number else b"\n") + b"\x01d" + (
        b"(\x01" if number else b" \x01"
    ), data
    for each in (
        reply,
        copy.deepcopy(reply),
        pickle.loads(pickle.dumps(reply)),
        type(reply).FromString(data),
    ):
        assert type(each) is messages.HelloReply and each == reply
    assert reply.DESCRIPTOR.full_name == "helloworld.HelloReply" and messages.Mood.Name(1) == "MOOD_GLAD"
    return reply


def check_nested_pickle(reply):
    loaded = pickle.loads(pickle.dumps(reply.detail))
    assert type(loaded) is type(reply.detail) and loaded == reply.detail


def main():
    root, first, second, style = sys.argv[1:]
    sys.path.insert(0, root)
    replies = []
    for package in (first, second):
        messages = importlib.import_module(f"{package}.helloworld_pb2")
        services = importlib.import_module(f"{package}.helloworld_pb2_grpc")
        number = "two" in package
        reply = check_messages(messages, package == first, number)
        if style == "portable" or package == first:
            check_nested_pickle(reply)

        class Greeter(services.GreeterServicer):
            def SayHello(self, request, context):
                return reply

        server = grpc.server(ThreadPoolExecutor(1))
        services.add_GreeterServicer_to_server(Greeter(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            request = messages.HelloRequest(**({"number": 1} if number else {"name": "n"}))
            answer = services.GreeterStub(channel).SayHello(request, timeout=30)
        server.stop(0).wait()
        assert answer == reply and type(answer) is messages.HelloReply
        replies.append(answer)
    assert type(replies[0]) is not type(replies[1])
    print("ok")


if __name__ == "__main__":
    main()

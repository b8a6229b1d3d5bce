"""What fuzzing has found, once mended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from eas_grpc.codegen._against import descriptor_set
from eas_grpc.codegen._manifest import Manifest
from eas_grpc.codegen._settings import read_table
from eas_grpc.errors import ConfigError, SchemaError
from eas_grpc.serving._calls import BadMessage, quiet
from server_demo.gateway._core import Core
from server_demo.gateway.options import GatewayOptions


def test_a_table_that_is_nested_too_deeply_is_refused(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_text("x = " + "[" * 5000)
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_table(path)


@pytest.mark.parametrize("field", ["name", "syntax"])
def test_a_descriptor_set_with_a_name_that_is_no_text_is_refused(tmp_path, field):
    file = FileDescriptorProto(name="a.proto", package="a.v1", syntax="proto3")
    setattr(file.message_type.add(name="M") if field == "name" else file, field, "broken")
    data = FileDescriptorSet(file=[file]).SerializeToString()
    assert descriptor_set(data, tmp_path).file[0].package == "a.v1"
    with pytest.raises(SchemaError, match=r"no UTF-8|no descriptor set"):
        descriptor_set(data.replace(b"broken", b"\xff\xfe\xfd\xfc\xfb\xfa"), tmp_path)


def test_a_manifest_nested_as_deeply_as_python_goes_is_refused_or_read():
    # Somewhere here is what can just be read and not be written again; where, depends on the stack.
    for depth in range(300, 1500):
        deep = b"[" * depth + b"]" * depth
        with contextlib.suppress(SchemaError):
            Manifest.from_json(b'{"tools": {}, "inputs": {}, "outputs": {}, "options": {}, "x": %s}' % deep)


def test_a_message_that_cannot_be_read_is_one_line_in_the_log(caplog):
    read = quiet("/a.B/C", FileDescriptorProto.FromString)
    with caplog.at_level(logging.WARNING), pytest.raises(BadMessage):
        read(b"\xff\xff")
    (record,) = caplog.records
    assert record.exc_info is None
    assert "/a.B/C" in record.getMessage()


def test_a_converter_that_fails_leaves_its_traceback(caplog):
    with pytest.raises(BadMessage):
        quiet("/a.B/C", int)("x")
    assert caplog.records[0].exc_info[0] is ValueError


async def test_what_is_written_to_a_broken_connection_is_dropped_without_a_word(caplog):
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    link = Core(loop, GatewayOptions()).link()
    transport, _ = await loop.create_connection(lambda: link, sock=ours)
    theirs.close()
    for _ in range(20):
        link.write(b"answer")
    assert transport.is_closing()
    await asyncio.sleep(0)
    assert caplog.records == []


async def test_the_end_of_a_connection_that_its_peer_has_reset_is_no_error():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    link = Core(loop, GatewayOptions()).link()
    transport, _ = await loop.create_connection(lambda: link, sock=ours)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    link.half_close()
    while not transport.is_closing():
        await asyncio.sleep(0)

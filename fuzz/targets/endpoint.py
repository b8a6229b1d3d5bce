"""Addresses as people write them. A finding is also one whose shortest text means another, or no, address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from eas_grpc.endpoint import Endpoint
from eas_grpc.errors import ConfigError

RATE = 15000
LONGEST_MESSAGE = 10_000


def check(data: bytes) -> None:
    """Only ConfigError is allowed."""
    # As Python decodes the environment and the command line.
    text = data.decode("utf-8", "surrogateescape")
    try:
        found = Endpoint.parse(text)
    except ConfigError as error:
        assert type(error) is ConfigError
        assert len(str(error)) < LONGEST_MESSAGE
        return
    again = Endpoint.parse(str(found))
    assert str(again) == str(found)
    # gRPC sends no path, so it is not in the text.
    assert again == replace(found, service=None, path=None), (again, found)
    assert found.target.isascii()
    assert found.target.isprintable()
    assert found.authority.isascii()
    assert found.is_private or not found.is_loopback
    assert found.socket is not None or 1 <= found.port <= 65_535


def seeds() -> Iterator[bytes]:
    """One of each form."""
    for text in (
        "http://demo.1234.cn-hangzhou.pai-eas.aliyuncs.com/api/predict/demo/v1",
        "https://demo.1234.vpc.cn-hangzhou.pai-eas.aliyuncs.com",
        "demo.example:8080",
        "dns:///demo.example:80",
        "ipv4:127.0.0.1:80",
        "ipv6:[::1]:80",
        "[fe80::1%25eth0]:80",
        "unix:/tmp/socket",
        "unix:///tmp/socket",
        "unix-abstract:name",
        "http//demo.example",
        "grpcs://user:secret@demo.example?x=1#y",
        "2001:db8::1:80",
        "\u2018b\u00fccher.example\uff1a80\u2019",
        "http://http:80/",
        "Bearer dG9rZW4=",
    ):
        yield text.encode()

"""`eas_grpc._hosts` through `Endpoint`: what is on this machine, inside a network, or public."""

import pytest

from eas_grpc.endpoint import Endpoint

EAS = "demo.1234.cn-hangzhou.pai-eas.aliyuncs.com"


@pytest.mark.parametrize(
    "text", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]"]
)
def test_loopback_is_recognised(text):
    assert Endpoint.parse(text).is_loopback
    assert Endpoint.parse(text).is_private


@pytest.mark.parametrize(
    "text",
    [
        "http://1234.vpc.cn-hangzhou.pai-eas.aliyuncs.com/api/predict/svc",
        "demo.1234.vpc.cn-hangzhou.pai-eas.aliyuncs.com:80",
        "pai-eas-vpc.cn-hangzhou.aliyuncs.com",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.1.1",
        "100.64.0.1",
        "[fd00::1]",
        "[fe80::1]",
        "[::ffff:10.0.0.1]",
        "model",
        "model.default.svc",
        "model.default.svc.cluster.local:8080",
        "box.local",
        "box.internal",
    ],
)
def test_private_is_recognised(text):
    assert Endpoint.parse(text).is_private
    assert not Endpoint.parse(text).is_loopback


@pytest.mark.parametrize(
    "text",
    [
        EAS,
        "gw-1.cn-hangzhou.pai-eas.aliyuncs.com",
        "vpc.example.com",
        "pai-eas-vpc.example.com",
        "172.32.0.1",
        "100.128.0.1",
        "8.8.8.8",
        "[2001:db8::1]",
        "localhost.example.com",
        "example.com",
    ],
)
def test_public_is_not_taken_for_private(text):
    assert not Endpoint.parse(text).is_private

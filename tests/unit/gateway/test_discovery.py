"""Where a service's instances are: what clients are told, and what can be configured."""

from __future__ import annotations

import json

import pytest

from eas_grpc.errors import ConfigError
from server_demo.gateway._discovery import Instance, answer, instances_from


def test_the_answer_is_what_the_documentation_shows():
    told = json.loads(
        answer("svc", [Instance("172.16.0.2", 50000), Instance("172.16.0.3", 50001, weight=50)])
    )
    assert told == {
        "correlative": ["svc"],
        "endpoints": {
            "items": [
                {"app": "svc", "ip": "172.16.0.2", "port": 50000, "weight": 100},
                {"app": "svc", "ip": "172.16.0.3", "port": 50001, "weight": 50},
            ]
        },
    }


def test_no_instances_are_an_empty_list():
    assert json.loads(answer("svc", []))["endpoints"] == {"items": []}


def test_instances_are_read_from_json_with_the_usual_weight():
    read = instances_from([{"ip": "127.0.0.1", "port": 1}, {"ip": "::1", "port": 65535, "weight": 0}])
    assert read == (Instance("127.0.0.1", 1, 100), Instance("::1", 65535, 0))
    assert instances_from([]) == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "must be a list"),
        ({"ip": "127.0.0.1", "port": 1}, "must be a list"),
        (["127.0.0.1:1"], "an instance must be like"),
        ([{"ip": "127.0.0.1"}], "an instance must be like"),
        ([{"ip": "127.0.0.1", "port": 1, "wieght": 2}], "an instance must be like"),
        ([{"ip": "localhost", "port": 1}], "'localhost' is no address"),
        ([{"ip": 1, "port": 1}], "ip=1 is no address"),
        ([{"ip": "127.0.0.1", "port": 0}], "port=0 must be a whole number from 1 to 65535"),
        ([{"ip": "127.0.0.1", "port": "1"}], "port='1'"),
        ([{"ip": "127.0.0.1", "port": True}], "port=True"),
        ([{"ip": "127.0.0.1", "port": 1, "weight": -1}], "weight=-1"),
        ([{"ip": "127.0.0.1", "port": 1, "weight": 0.5}], "weight=0.5"),
        ([{"ip": "127.0.0.1", "port": 1}] * 2, "127.0.0.1 port 1 is there twice"),
    ],
)
def test_what_is_no_list_of_instances_is_refused(value, text):
    with pytest.raises(ConfigError, match=text):
        instances_from(value)

"""Service discovery for clients that connect to instances directly (eas-wire.md 3.5; 9, 3)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.gateway_clients import Answer, Http1, Http2, ask, signed
from support.gateway_upstreams import GrpcUpstream, HttpUpstream

from eas_grpc.errors import ConfigError
from server_demo.gateway import Gateway, Instance, Service, demo

TOKEN = "dG9rZW4tb2YtYWxs"
NEW = "/api/v1/servicediscovery/upstreams"
OLD = "/exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams"
JSON = [("Content-Type", "application/json")]


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with HttpUpstream() as http, GrpcUpstream() as rpc:
        services = [
            Service(name=name, http=http.address, grpc=rpc.address, tokens=(TOKEN,))
            for name in ("svc", "group.svc", "empty")
        ]
        with Gateway(*services, admin_port=0) as running:
            running.upstream = http
            yield running


def asked(gateway: Gateway, service: str = "svc", path: str = NEW) -> list[dict]:
    answer = ask(gateway.address, "GET", f"{path}/{service}")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return json.loads(answer.body)["endpoints"]["items"]


def post(instance: Instance, service: str = "svc", token: str = TOKEN) -> Answer:
    path = f"/api/predict/{service}"
    return ask(f"{instance.ip}:{instance.port}", "POST", path, signed(token, path, b"x"), b"x")


@pytest.mark.parametrize("query", ["", "?internal=true", "?internal=false"])
@pytest.mark.parametrize("slash", ["/", "//"])
@pytest.mark.parametrize("path", [NEW, OLD])
def test_both_paths_tell_of_the_instances_to_anybody(gateway, path, slash, query):
    first = gateway.add_instance("svc")
    second = gateway.add_instance("svc", weight=50)
    answer = ask(gateway.address, "GET", f"{slash}{path[1:]}/svc{query}")
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "correlative": ["svc"],
        "endpoints": {
            "items": [
                {"app": "svc", "ip": "127.0.0.1", "port": first.port, "weight": 100},
                {"app": "svc", "ip": "127.0.0.1", "port": second.port, "weight": 50},
            ]
        },
    }
    assert gateway.upstream.accepted == 0


def test_a_wrong_token_does_not_matter_to_discovery(gateway):
    """The vendor's clients send none; a user's own headers may bring one."""
    answer = ask(gateway.address, "GET", f"{NEW}/svc", [("Authorization", "wrong")])
    assert answer.status == 200


@pytest.mark.parametrize("path", [NEW, OLD])
def test_go_asks_with_the_path_behind_the_name_and_is_told_of_the_service(gateway, path):
    gateway.add_instance("group.svc")
    assert len(asked(gateway, "group.svc/v1/chat", path)) == 1


@pytest.mark.parametrize("path", [NEW, OLD])
def test_no_instances_are_an_empty_list(gateway, path):
    assert asked(gateway, "empty", path) == []


@pytest.mark.parametrize("path", [NEW, OLD])
def test_an_unknown_service_is_404_and_another_verb_405(gateway, path):
    assert ask(gateway.address, "GET", f"{path}/unknown").status == 404
    assert ask(gateway.address, "GET", path).status == 404
    for verb in ("POST", "PUT", "DELETE"):
        assert ask(gateway.address, verb, f"{path}/svc", body=b"x").status == 405


def test_discovery_answers_over_http_2_too(gateway):
    gateway.add_instance("svc")
    with Http2(gateway.address) as client:
        answer = client.request("GET", f"{NEW}/svc")
    assert len(json.loads(answer.body)["endpoints"]["items"]) == 1


def test_weights_and_members_change_while_it_runs(gateway):
    first, second = gateway.add_instance("svc"), gateway.add_instance("svc")
    changed = Instance(second.ip, second.port, 7)
    with Http1(gateway.address) as client:

        def items() -> list[tuple[int, int]]:
            found = json.loads(client.ask("GET", f"{NEW}/svc").body)["endpoints"]["items"]
            return [(item["port"], item["weight"]) for item in found]

        assert items() == [(first.port, 100), (second.port, 100)]
        gateway.set_instances("svc", [changed])
        assert items() == [(second.port, 7)]
        third = gateway.add_instance("svc", weight=0)
        assert items() == [(second.port, 7), (third.port, 0)]
        gateway.set_instances("svc", [])
        assert items() == []
    assert gateway.instances("svc") == ()


def test_the_admin_interface_changes_weights_and_members(gateway):
    instance = gateway.add_instance("svc")

    def put(value: object, service: str = "svc", headers=JSON) -> int:
        path = f"/services/{service}/instances"
        return ask(gateway.admin_address, "PUT", path, headers, json.dumps(value).encode()).status

    assert put([{"ip": "127.0.0.1", "port": instance.port, "weight": 3}, {"ip": "::1", "port": 9}]) == 204
    assert asked(gateway) == [
        {"app": "svc", "ip": "127.0.0.1", "port": instance.port, "weight": 3},
        {"app": "svc", "ip": "::1", "port": 9, "weight": 100},
    ]
    state = json.loads(ask(gateway.admin_address, "GET", "/state").body)
    assert state["services"][0]["instances"][0] == {"ip": "127.0.0.1", "port": instance.port, "weight": 3}
    assert put([]) == 204
    assert asked(gateway) == []
    assert put([{"ip": "name", "port": 1}]) == 400
    assert put({"ip": "127.0.0.1", "port": 1}) == 400
    assert put([], "unknown") == 404
    assert put([], headers=[]) == 415
    assert asked(gateway) == []


@pytest.mark.parametrize("path", [NEW, OLD])
def test_a_fault_makes_discovery_answer_5xx_and_not_the_service(gateway, path):
    with gateway.faults.status(500, "broken", method=f"GET {path}/svc"):
        for _ in range(2):
            answer = ask(gateway.address, "GET", f"{path}/svc")
            assert (answer.status, answer.body) == (500, b"broken")
        assert asked(gateway, "empty", path) == []
        path = "/api/predict/svc"
        assert ask(gateway.address, "POST", path, [("Authorization", TOKEN)], b"x").status == 200
    assert asked(gateway) == []


def test_instances_answer_on_ports_of_their_own_with_the_gateways_checks(gateway):
    instances = [gateway.add_instance("svc") for _ in range(3)]
    assert len({instance.port for instance in instances}) == 3
    for instance in instances:
        assert post(instance).status == 200
        assert post(instance, token="wrong").status == 401
        # An instance is one of its service alone.
        assert post(instance, "empty").status == 404
        address = f"{instance.ip}:{instance.port}"
        with Http2(address) as client:
            bearer = [("authorization", f"Bearer {TOKEN}")]
            assert client.call("/a/b", bearer, b"x", host="empty.localhost").grpc_status == "0"
            assert client.call("/a/b", [], b"x").grpc_status == "16"
        assert gateway.calls()[-1].service == "svc"


def test_an_instance_takes_what_is_too_large_for_the_gateway(gateway):
    instance = gateway.add_instance("svc")
    body = b"x" * 1_000_001
    headers = [("Authorization", TOKEN)]
    assert ask(gateway.address, "POST", "/api/predict/svc", headers, body).status == 413
    address = f"{instance.ip}:{instance.port}"
    assert ask(address, "POST", "/api/predict/svc", headers, body).status == 200
    with Http2(address) as client:
        answer = client.call("/a/b", [("authorization", f"Bearer {TOKEN}")], body)
        assert (answer.grpc_status, len(answer.body)) == ("0", 1_000_006)


def test_an_instance_that_was_stopped_refuses_connections_and_is_still_told_of(gateway):
    """Until its weight or its place in the list changes: clients have to go to another instance by themselves."""
    first, second = gateway.add_instance("svc"), gateway.add_instance("svc")
    with Http1(f"{first.ip}:{first.port}") as client:
        assert client.ask("POST", "/api/predict/svc", [("Authorization", TOKEN)], b"x").status == 200
        gateway.stop_instance(first)
        assert client.ended()
    with pytest.raises(ConnectionRefusedError):
        post(first)
    assert post(second).status == 200
    assert [item["port"] for item in asked(gateway)] == [first.port, second.port]
    with pytest.raises(ConfigError, match="no running instance"):
        gateway.stop_instance(first)
    gateway.set_instances("svc", [second])
    assert [item["port"] for item in asked(gateway)] == [second.port]


def test_the_demo_has_an_instance_of_each_service():
    with Gateway() as running:
        demo.add_demo(running, [TOKEN])
        for name in ("greeter", "echo", "digits"):
            (item,) = asked(running, name)
            assert (item["app"], item["ip"], item["weight"]) == (name, "127.0.0.1", 100)

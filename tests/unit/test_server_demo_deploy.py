"""The deployment files agree with each other, with the program, and with what EAS demands."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from server_demo import app

DEPLOY = Path(app.__file__).parent / "deploy"
SERVICE = json.loads((DEPLOY / "service.json").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
(CONTAINER,) = SERVICE["containers"]


def dockerfile_command():
    return json.loads(re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[1])


def test_grpc_is_switched_on_where_the_documentation_puts_it():
    assert SERVICE["metadata"]["enable_grpc"] is True
    assert "networking" not in SERVICE


def test_the_port_is_not_one_that_eas_keeps_and_is_the_same_everywhere():
    assert CONTAINER["port"] not in {8080, 9090}
    assert f"EXPOSE {CONTAINER['port']}\n" in DOCKERFILE
    for command in (shlex.split(CONTAINER["script"]), dockerfile_command()):
        assert command[:3] == ["python", "-m", "server_demo"]
        arguments = app.parse(command[3:])
        assert arguments["port"] == CONTAINER["port"]
        app.check_host(arguments["host"], public=arguments["public"])
        assert arguments["token"] is None


def test_no_token_and_no_registry_is_committed():
    assert re.fullmatch(r"<.*>", SERVICE["token"])
    assert CONTAINER["image"].startswith("<")


def test_a_stop_reaches_python_and_it_does_not_run_as_root():
    assert SERVICE["metadata"]["rpc"]["enable_sigterm"] is True
    assert not re.search(r"^(CMD|ENTRYPOINT) [^\[]", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^USER (?!root)\w+$", DOCKERFILE, re.MULTILINE)


def test_the_names_are_those_that_eas_allows():
    assert re.fullmatch(r"[a-z][a-z0-9_]*", SERVICE["metadata"]["name"])

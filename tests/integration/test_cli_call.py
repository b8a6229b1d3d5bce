"""`eas-grpc call`: every shape, what is printed, what a failure says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.call_server import StoreServer, write_schema
from support.processes import reserved_port

from eas_grpc.cli.__main__ import cli
from server_demo import app

TOKEN = "canary-of-call-0123456789"
GREETER = "helloworld.GreeterService"


@pytest.fixture(scope="module")
def demo():
    with app.build(token=TOKEN) as server:
        yield server


@pytest.fixture
def store():
    with StoreServer() as server:
        yield server


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch, tmp_path):
    for name in ("EAS_ENDPOINT", "EAS_TOKEN", "EAS_TOKEN_FILE", "EAS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


def run(*args: str, stdin: str | None = None):
    done = CliRunner().invoke(cli, ["call", *args], input=stdin)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert TOKEN not in done.stdout
    assert TOKEN not in done.stderr
    return done


@pytest.fixture
def greet(demo):
    return lambda *args, **words: run("-e", demo.address, "--token", TOKEN, *args, **words)


@pytest.fixture
def call(store, tmp_path):
    schema = write_schema(tmp_path)
    return lambda *args, **words: run("-e", store.address, "--descriptor-set", str(schema), *args, **words)


def test_what_steers_a_terminal_is_escaped_in_what_a_service_sent(call, greet):
    done = greet(f"{GREETER}/SayHello", "-d", '{"name": "\\u009b31m\\u007fé"}')
    assert json.loads(done.stdout) == {"message": "Hello, \x9b31m\x7fé!"}
    assert "é" in done.stdout
    assert not {"\x9b", "\x7f"} & set(done.stdout)
    failed = call("Store/Put", "-d", json.dumps({"caption": "fail:INTERNAL:\x1b[31mred\nError: forged"}))
    assert "INTERNAL: \\x1b[31mred\\nError: forged\n" in failed.stderr


def test_empty_data_is_no_request(call):
    done = call("Store/Put", "-d", "")
    assert (done.exit_code, done.stderr) == (2, "Error: -d is empty: write {} for an empty request\n")


def values(text: str) -> list:
    """The JSON values of an output."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def test_one_request_and_one_answer_by_reflection(greet):
    done = greet(f"{GREETER}/SayHello", "-d", '{"name": "Wörld"}')
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == '{\n  "message": "Hello, Wörld!"\n}\n'


def test_a_stream_of_answers(greet):
    done = greet(f"{GREETER}/SayHelloManyTimes", "-d", '{"name": "A", "count": 3}')
    assert (done.exit_code, len(values(done.stdout))) == (0, 3)


def test_a_stream_of_requests(greet):
    done = greet(f"{GREETER}/SayHelloToAll", "-d", '{"name": "A"}', "-d", '{"name": "B"}')
    assert (done.exit_code, values(done.stdout)) == (0, [{"message": "Hello, A and B!"}])


def test_streams_both_ways(greet):
    done = greet(f"{GREETER}/Chat", stdin='{"name": "A"}\n{"name":\n"B"}')
    assert (done.exit_code, values(done.stdout)) == (0, [{"message": "Hello, A!"}, {"message": "Hello, B!"}])


@pytest.mark.parametrize(
    "name", [f"/{GREETER}/SayHello", f"{GREETER}.SayHello", "helloworld.GreeterService/SayHello"]
)
def test_a_method_may_be_written_in_several_ways(greet, name):
    assert greet(name).exit_code == 0


def test_a_short_name_is_enough_if_only_one_fits(greet, call):
    assert greet("TensorService/Describe", "--model", "digits").exit_code == 0
    assert call("Put").exit_code == 0
    done = greet("SayHello")
    assert done.exit_code == 3
    assert "'SayHello' may mean GreeterService/SayHello, " in done.stderr


def test_a_method_that_is_not_there_is_told_with_those_that_are(greet):
    done = greet(f"{GREETER}/SayHelo")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "do you mean " in done.stderr
    assert "SayHello" in done.stderr.replace("SayHelo", "")


def test_defaults_are_shown_where_they_are_wanted(call):
    assert values(call("Store/Put").stdout) == [{}]
    shown = values(call("Store/Put", "--emit-defaults").stdout)[0]
    assert (shown["count"], shown["caption"], shown["chunks"]) == (0, "", [])


def test_files_go_in_and_come_out_as_they_are(call, tmp_path):
    content = bytes(range(256)) * 50
    (tmp_path / "in").write_bytes(content)
    out = tmp_path / "out"
    done = call("Store/Put", "--file", f"image=@{tmp_path / 'in'}", "--save-bytes", f"image={out}")
    assert done.exit_code == 0
    assert out.read_bytes() == content
    assert done.stderr == f"{out}: 12800 bytes of image\n"


def test_a_template_has_every_field_and_calls_nothing(call, store):
    done = call("Store/Put", "--template")
    assert done.exit_code == 0
    assert {"image", "caption", "part", "parts"} <= values(done.stdout)[0].keys()
    assert store.seen.empty()


def test_a_template_is_a_request(call, store):
    template = call("Store/Put", "--template").stdout
    assert call("Store/Put", "-d", template).exit_code == 0
    assert store.next_seen() == ""


def test_the_whole_call_as_one_object(call, store):
    data = '{"caption": "x", "count": 3}'
    done = call("Store/Get", "-d", data, "--output", "json", "-H", "x-mine: 1", "--token", TOKEN)
    made = json.loads(done.stdout)
    timings = made.pop("timings")
    assert made == {
        "method": "acme.call.v1.Store/Get",
        "shape": "unary_stream",
        "endpoint": store.address,
        "tls": False,
        "token": "the argument",
        "schema": made["schema"],
        "metadata": {"x-mine": ["1"], "authorization": ["Bearer ***"]},
        "deadline": None,
        "sent": {"messages": 1, "bytes": 5},
        "headers": {"x-first": ["hello"], "x-bytes-bin": ["/w=="]},
        "messages": [{"caption": "x", "count": 3}] * 3,
        "trailers": {"x-last": ["bye"]},
        "status": "OK",
        "code": 0,
        "details": "",
        "error_details": [],
        "hint": "",
        "origin": "server",
    }
    assert len(timings["gaps"]) == 2
    assert 0 < timings["first_message"] <= timings["total"] < 20
    assert 0 < timings["connect"] < 20
    assert dict(store.metadata)["x-mine"] == "1"


def test_v_says_what_is_around_the_messages_on_stderr(call):
    done = call("Store/Put", "-d", '{"caption": "x"}', "-v", "--token", TOKEN, "-H", "x-api-key: s3cr3t")
    assert values(done.stdout) == [{"caption": "x"}]
    lines = done.stderr.splitlines()
    assert "(plaintext), schema from " in lines[0]
    assert lines[1:7] == [
        "> x-api-key: ***",
        "> authorization: Bearer ***",
        "< x-first: hello",
        "< x-bytes-bin: /w==",
        "< x-last: bye",
        "status OK",
    ]
    assert lines[7] == "1 sent (3 bytes), 1 received (3 bytes)"
    assert lines[8].startswith("connect ")


@pytest.mark.parametrize("status", ["NOT_FOUND", "ABORTED", "UNKNOWN", "UNAUTHENTICATED", "UNAVAILABLE"])
def test_a_failure_exits_with_64_and_its_status(call, status):
    import grpc

    done = call("Store/Put", "-d", f'{{"caption": "fail:{status}:no such luck"}}', "--token", TOKEN)
    assert (done.exit_code, done.stdout) == (64 + grpc.StatusCode[status].value[0], "")
    assert f"/acme.call.v1.Store/Put failed with {status}: no such luck" in done.stderr


def test_the_details_of_a_status_are_decoded(call):
    done = call("Store/Put", "-d", '{"caption": "rich"}')
    assert done.exit_code == 64 + 3
    first, error = done.stderr.splitlines()[:2]
    violation = {"field": "caption", "description": "too rich"}
    assert json.loads(first) == {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [violation],
    }
    assert error == "Error: /acme.call.v1.Store/Put failed with INVALID_ARGUMENT: not like this"
    made = json.loads(call("Store/Put", "-d", '{"caption": "rich"}', "--output", "json").stdout)
    assert made["error_details"][0]["fieldViolations"] == [violation]
    assert (made["status"], made["code"], made["details"]) == ("INVALID_ARGUMENT", 3, "not like this")


def test_messages_before_a_failure_stay(call):
    done = call("Store/Swap", "-d", '{"caption": "a"}{"caption": "fail:DATA_LOSS:gone"}')
    assert (done.exit_code, values(done.stdout)) == (64 + 15, [{"caption": "a"}])
    assert "failed with DATA_LOSS: gone" in done.stderr


def test_a_type_that_only_an_any_has_is_asked_for(store):
    extra = {"@type": "type.googleapis.com/acme.other.v1.Extra", "what": "hello"}
    done = run("Store/Put", "-e", store.address, "-d", json.dumps({"anything": extra}))
    assert (done.exit_code, values(done.stdout)) == (0, [{"anything": extra}])
    done = run("acme.call.v1.Store/Get", "-e", store.address, "-d", '{"caption": "extra"}')
    sent = {"@type": "type.example/acme.other.v1.Extra", "what": "hi"}
    assert (done.exit_code, values(done.stdout)) == (0, [{"anything": sent}])
    unknown = '{"anything": {"@type": "type.googleapis.com/acme.Unknown"}}'
    assert run("acme.call.v1.Store/Put", "-e", store.address, "-d", unknown).exit_code == 2


def test_a_type_that_nobody_describes_is_shown_as_bytes(call):
    done = call("Store/Put", "-d", '{"caption": "extra"}')
    assert done.exit_code == 0
    assert values(done.stdout)[0]["anything"]["@type"] == "type.example/acme.other.v1.Extra"


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_service_that_repeats_the_token_does_not_make_us_print_it(call, output):
    done = call("Store/Put", "-d", '{"caption": "echo"}', "--token", TOKEN, "--output", output, "-v")
    assert done.exit_code == 64 + 13
    assert "x-echo" in done.stdout + done.stderr


def test_nothing_there_is_5_also_in_the_object(tmp_path):
    with reserved_port() as port:
        args = ["-e", f"127.0.0.1:{port}", "--descriptor-set", str(write_schema(tmp_path)), "Store/Put"]
        done = run(*args)
        assert (done.exit_code, done.stdout) == (5, "")
        assert "hint: nothing listens there" in done.stderr
        made = run(*args, "--output", "json")
        by_reflection = run("-e", f"127.0.0.1:{port}", "a.B/C", "--output", "json")
    for each in (made, by_reflection):
        assert each.exit_code == 5
        found = json.loads(each.stdout)
        assert (found["status"], found["origin"], found["messages"]) == ("UNAVAILABLE", "client", [])
        assert found["hint"].startswith("nothing listens there")
        assert found["timings"]["connect"] is None


def test_a_wrong_token_is_80_with_a_hint(demo):
    done = run(
        "-e", demo.address, "--token", "wrong-token-of-somebody", f"{GREETER}/SayHello", "--output", "json"
    )
    assert done.exit_code == 80
    assert json.loads(done.stdout)["status"] == "UNAUTHENTICATED"
    assert json.loads(done.stdout)["hint"]


def test_a_deadline_ends_a_stream_only_where_it_is_given(call, store):
    done = call("Store/Get", "-d", '{"caption": "hold"}', "--timeout", "700ms")
    assert (done.exit_code, values(done.stdout)) == (64 + 4, [{"caption": "hold"}])
    call("Store/Get", "-d", '{"caption": "x"}')
    assert store.deadline is None
    call("Store/Put", "-d", '{"caption": "x"}')
    assert 3 < store.deadline < 5.5


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("Store/Put", "-d", "{"), 2, "-d: this is not JSON"),
        (("Store/Put", "-d", '{"caption": 3}'), 2, "-d: "),
        (("Store/Put", "-d", "{}{}"), 2, "takes one request, and -d has 2"),
        (("Store/Put", "-d", "@no-such-file"), 3, "-d @no-such-file cannot be read: there is no such file"),
        (("Store/Put", "--file", "image"), 2, "--file 'image': write NAME=@PATH"),
        (("Store/Put", "--file", "image=@no-such-file"), 3, "no-such-file cannot be read"),
        (("Store/Put", "--save-bytes", "image"), 2, "--save-bytes 'image': write FIELD=PATH"),
        (("Store/Put", "--save-bytes", "imag=x"), 2, "did you mean 'image'?"),
        (("Store/Put", "--save-tensors", "x"), 2, "is of no tensor protocol"),
        (("Store/Rest", "--model", "m"), 2, "a model cannot be named in acme.call.v1.Nothing"),
        (("Store/Put", "--template", "--dry-run"), 2, "exclude each other"),
        (("Store",), 3, ""),
        (("Store/Put", "--output", "yaml"), 2, "yaml"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_nothing_is_sent(call, store, args, code, said):
    done = call(*args)
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert store.seen.empty()
    assert not Path("x").exists()


def test_a_token_that_a_command_makes_anew_each_time_is_masked_wherever_it_comes_back(call, store, tmp_path):
    minted = tmp_path / "mint.sh"
    minted.write_text(
        f"n=$(cat {tmp_path}/n 2>/dev/null || echo 0); echo $((n + 1)) > {tmp_path}/n; echo minted-token-$n\n"
    )
    config = tmp_path / "home/.config/eas-grpc/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[prod]\ntoken_command = ["sh", "{minted}"]\n')
    for form in (["-v"], ["--output", "json"]):
        done = call("Store/Put", "-d", '{"caption": "echo:ok"}', "--profile", "prod", *form)
        assert done.exit_code == 0, done.stderr
        assert any("minted-token" in str(value) for _, value in store.metadata)
        assert "minted-token" not in done.stdout + done.stderr
    assert (tmp_path / "n").read_text() == "2\n"
    call("Store/Put", "--profile", "prod", "--dry-run")
    assert (tmp_path / "n").read_text() == "2\n"

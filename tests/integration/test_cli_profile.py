"""`eas-grpc profile`, as a user runs it, and a call through what it wrote."""

from __future__ import annotations

import json
import stat
import sys

import pytest
from click.testing import CliRunner

from eas_grpc.cli.__main__ import cli
from server_demo import app

TOKEN = "profile-token-0123456789"


def run(*arguments: str, stdin: str | None = None, **variables: str):
    done = CliRunner().invoke(cli, [*arguments], input=stdin, env=variables)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def profile(*arguments: str, **given: str):
    return run("profile", *arguments, **given)


def good(*arguments: str, **given: str) -> str:
    done = profile(*arguments, **given)
    assert done.exit_code == 0, done.output
    return done.stdout


def bad(*arguments: str, code: int = 2, **given: str) -> str:
    done = profile(*arguments, **given)
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    return done.stderr


@pytest.fixture
def file(tmp_path):
    return tmp_path / "eas-grpc" / "config.toml"


@pytest.fixture(scope="module")
def server():
    with app.build(token=TOKEN) as server:
        yield server


# ---- add, use, remove


def test_the_first_profile_makes_a_file_for_its_owner_alone(file):
    good("add", "prod", "--endpoint", "demo.example", "--token-env", "DEMO_TOKEN")
    assert file.read_text() == '[prod]\nendpoint = "demo.example"\ntoken_env = "DEMO_TOKEN"\n'
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_everything_else_in_the_file_stays_as_it_was(file):
    file.parent.mkdir()
    text = "# mine\n[old]\nendpoint = 'x'   # why\n"
    file.write_text(text)
    good("add", "new", "-e", "y")
    good("use", "new")
    assert file.read_text() == f'use = "new"\n\n{text}\n[new]\nendpoint = "y"\n'
    good("remove", "new")
    assert file.read_text() == text


def test_files_are_kept_by_their_whole_path_and_a_command_in_its_parts(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good(
        "add", "prod", "-e", "https://h", "--token-command", "./ask 'a b'", "--cacert", "ca.pem",
        "--cert", "c.pem", "--key", "/k.pem", "--authority", "a", "--timeout", "1m",
    )  # fmt: skip
    text = file.read_text()
    assert f'token_command = ["{tmp_path}/ask", "a b"]' in text
    assert f'cacert = "{tmp_path}/ca.pem"' in text
    assert 'key = "/k.pem"' in text
    assert 'timeout = "60s"' in text


def test_a_name_that_is_there_is_replaced_only_with_force(file):
    good("add", "prod", "-e", "one")
    assert "there is a profile 'prod': choose another name, or --force" in bad("add", "prod", "-e", "two")
    good("add", "prod", "-e", "two", "--force")
    assert file.read_text() == '[prod]\nendpoint = "two"\n'


def test_the_text_of_a_token_comes_from_a_pipe_alone(file):
    assert "No such option" in bad("add", "prod", "--token", TOKEN)
    assert TOKEN not in good("add", "prod", "-e", "h", "--token-stdin", stdin=f"Bearer {TOKEN}\n")
    assert f'token = "{TOKEN}"' in file.read_text()
    assert "the token is empty" in bad("add", "x", "--token-stdin", stdin="")
    assert "a line break" in bad("add", "x", "--token-stdin", stdin=f"{TOKEN}\n{TOKEN}")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["use"], "cannot be the name of a profile"),
        ([" "], "cannot be the name of a profile"),
        (["a\nb"], "cannot be the name of a profile"),
        (["prod", "-e", "host:443"], "'https://host'"),
        (["prod", "--use"], "--use is for a profile with an --endpoint"),
        (["prod", "--token-env", "A", "--token-file", "b"], "--token-env and --token-file say two things"),
        (["prod", "--token-env", "a b"], "must be the name of an environment variable"),
        (["prod", "--token-command", "'"], "--token-command cannot be read"),
        (["prod", "--token-command", " "], "--token-command is empty"),
        (["prod", "--cert", "c"], "has cert without key"),
        (["prod", "--timeout", "soon"], "is not a length of time"),
        ([], "Missing argument 'NAME'"),
    ],
)
def test_what_cannot_be_meant_is_not_written(file, arguments, says):
    assert says in bad("add", *arguments)
    assert not file.exists()


def test_use_and_remove_are_for_profiles_that_are_there():
    assert "there are no profiles: eas-grpc profile add" in bad("use", "prod")
    good("add", "prod", "--token-env", "A")
    assert "did you mean 'prod'?" in bad("use", "prd")
    assert "did you mean 'prod'?" in bad("remove", "prd")
    assert "has no endpoint" in bad("use", "prod")
    assert "give either NAME or --none" in bad("use")
    assert "give either NAME or --none" in bad("use", "prod", "--none")


def test_use_says_when_this_shell_says_otherwise(file):
    done = profile("add", "prod", "-e", "h", "--use")
    assert (done.exit_code, file.read_text().partition("\n")[0]) == (0, 'use = "prod"')
    assert "which wins" in profile("use", "prod", EAS_ENDPOINT="other").stderr
    assert "which wins" not in profile("use", "prod").stderr
    good("use", "--none")
    assert "use" not in file.read_text()
    good("use", "--none")


def test_a_place_that_cannot_be_written_is_a_local_file_error(tmp_path):
    (tmp_path / "eas-grpc").touch()
    assert "cannot be written" in bad("add", "prod", "-e", "h", code=3)


def test_a_file_of_the_former_name_is_not_lost_by_making_a_new_one(file):
    file.parent.mkdir()
    (file.parent / "profiles.toml").write_text("[prod]\n")
    for command in (["add", "new", "-e", "h"], ["list"], ["use", "prod"]):
        assert f"mv {file.parent / 'profiles.toml'} {file}" in bad(*command)
    assert not file.exists()


# ---- list and show


def test_no_profiles_is_no_error_and_says_how_to_make_one():
    done = profile("list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "eas-grpc profile add NAME" in done.stderr
    assert json.loads(good("list", "--json"))["profiles"] == {}


@pytest.fixture
def some(file):
    file.parent.mkdir()
    file.write_text(
        f"""use = "prod"
[prod]
endpoint = "http://user:{TOKEN}@one.example/"
token = "{TOKEN}"
[file]
endpoint = "two.example"
token_file = "t"
[variable]
token_env = "THE_TOKEN"
[mistake]
token_env = "{TOKEN.replace("-", "_")}"
[command]
token_command = ["vault", "read", "{TOKEN}"]
timeout = 9
"""
    )
    file.chmod(0o600)
    return file


def test_the_list_says_where_each_token_is_and_which_profile_counts(some):
    text = good("list")
    assert [line.split() for line in text.splitlines()] == [
        ["name", "endpoint", "token", "chosen", "by"],
        ["prod", "http://one.example/", "***", "(in", "the", "file)", "use"],
        ["file", "two.example", "file", str(some.parent / "t")],
        ["variable", "variable", "THE_TOKEN"],
        ["mistake", "variable", "***"],
        ["command", "command", "vault", "..."],
    ]
    assert good("list", EAS_PROFILE="file").splitlines()[2].endswith("EAS_PROFILE")


def test_json_has_the_same_facts(some):
    found = json.loads(good("list", "--json"))
    assert (found["file"], found["current"]) == (str(some), "prod")
    assert found["profiles"]["command"] == {"token": "command vault ...", "timeout": "9s"}


def test_show_says_where_each_value_comes_from(some):
    found = json.loads(good("show", "--json"))
    assert (found["profile"], found["chosen_by"]) == ("prod", "use")
    assert found["values"]["endpoint"] == {"value": "http://one.example/", "from": str(some)}
    found = json.loads(good("show", "file", "--json", EAS_ENDPOINT="other:81", EAS_TOKEN=TOKEN))
    assert found["values"] == {
        "endpoint": {"value": "other:81", "from": "EAS_ENDPOINT, which wins over the profile"},
        "token": {"value": "***", "from": "EAS_TOKEN, which wins over the profile"},
    }
    assert "timeout  9s" in good("show", "command")


def test_no_secret_is_shown(some):
    shown = "".join(
        good(*command, EAS_TOKEN=TOKEN)
        for command in (
            ["list"], ["list", "--json"], ["show"], ["show", "mistake"], ["show", "command", "--json"],
        )
    )  # fmt: skip
    assert TOKEN not in shown
    assert TOKEN.replace("-", "_") not in shown


def test_show_without_a_choice_says_how_to_make_one(file):
    good("add", "prod", "-e", "h")
    assert "no profile is chosen" in bad("show")
    assert "did you mean 'prod'?" in bad("show", "prood")
    assert "did you mean 'prod'?" in bad("show", EAS_PROFILE="prood")


# ---- through to a call


def hello(*arguments: str, **variables: str):
    return run("hello", *arguments, **variables)


def test_a_call_goes_to_the_profile_in_use_with_the_token_of_its_command(server):
    command = f"'{sys.executable}' -c 'print(\"{TOKEN}\")'"
    good("add", "demo", "-e", server.address, "--token-command", command, "--use")
    done = hello()
    assert (done.exit_code, done.stdout) == (0, "Hello, World!\n"), done.stderr


def test_the_token_of_the_profile_in_use_does_not_follow_another_endpoint(server):
    good("add", "demo", "-e", "127.0.0.1:1", "--token-env", "DEMO", "--use")
    done = hello("--endpoint", server.address, DEMO=TOKEN)
    assert done.exit_code == 64 + 16
    assert "no token" in done.stderr
    assert hello("--endpoint", server.address, "--profile", "demo", DEMO=TOKEN).exit_code == 0


def test_a_command_that_fails_is_a_sentence_and_no_traceback(server):
    good("add", "demo", "-e", server.address, "--token-command", f"{sys.executable} -c 'exit(7)'", "--use")
    done = hello()
    assert done.exit_code == 2
    assert done.stderr.strip().endswith("exit code 7: run it by hand to see why")
    assert "Traceback" not in done.stderr

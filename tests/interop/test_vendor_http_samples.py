"""The vendor's samples of calls over HTTP, as they are printed on its pages, against `eas-grpc serve`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from interop.differences import differences
from interop.gateway_process import gateway_with, last_call
from interop.programs import TOKEN, finish, unavailable

pytestmark = pytest.mark.interop

ECHO = "/api/predict/echo"

# The samples of the page "Call a service over a public or VPC endpoint", as they are printed there.
CURL = "curl  <url> -H 'Authorization: <EAS_TOKEN>' -d '<request data>'\n"
REQUESTS = """\
import requests
# <url> 需替换为服务实际的访问地址
url = '<url>'
# header信息 <EAS_TOKEN>需替换为实际的Token
headers = {"Authorization": "<EAS_TOKEN>"}
# 根据具体模型要求的数据格式构造服务请求,此处仅以字符串作为输入输出的程序为例。
data = '<request data>'
resp = requests.post(url, data=data, headers=headers)
print(resp)
print(resp.content)
"""
CHAT_URL = "http://16********.cn-hangzhou.pai-eas.aliyuncs.com/api/predict/test/v1/chat/completions"
CHAT_TOKEN = "*********5ZTM1ZDczg5OT**********"
CHAT_CURL = """\
curl http://16********.cn-hangzhou.pai-eas.aliyuncs.com/api/predict/test/v1/chat/completions
-H "Content-Type: application/json" \\
-H "Authorization: *********5ZTM1ZDczg5OT**********" \\
-X POST \\
-d '{
    "model": "DeepSeek-R1-Distill-Qwen-7B",
    "messages": [
    {
        "role": "system",
        "content": "You are a helpful assistant."
    },
    {
        "role": "user",
        "content": "hello!"
    }
    ]
}'
"""
CHAT_REQUESTS = """\
import requests
# 替换为实际访问地址
url = 'http://16********.cn-hangzhou.pai-eas.aliyuncs.com/api/predict/test/v1/chat/completions'
# header信息 Authorization的值为实际的Token
headers = {
    "Content-Type": "application/json",
    "Authorization": "*********5ZTM1ZDczg5OT**********",
}
# 根据具体模型要求的数据格式构造服务请求。
data = {
    "model": "DeepSeek-R1-Distill-Qwen-7B",
    "messages": [
        {
            "role": "system",
            "content": "You are a helpful assistant."
        },
        {
            "role": "user",
            "content": "hello!"
        }
    ]
}
# 发送请求
resp = requests.post(url, json=data, headers=headers)
print(resp)
print(resp.content)
"""


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    """One with its page, whose interface puts faults on."""
    with gateway_with("--ui") as address:
        yield address


@pytest.fixture(scope="module")
def curl() -> str:
    return shutil.which("curl") or unavailable("no `curl` on the PATH")


def test_only_the_url_the_token_and_the_data_of_the_samples_are_filled_in():
    # On the page the second curl command lacks the backslash behind its URL.
    assert differences(CURL, curl_sample("U", "T", "D")) == [
        "- curl<url>-H'Authorization:<EAS_TOKEN>'-d'<requestdata>'",
        "+ curlU-H'Authorization:T'-d'D'",
    ]
    assert differences(REQUESTS, requests_sample("U", "T", "D")) == [
        "- url='<url>'",
        "+ url='U'",
        '- headers={"Authorization":"<EAS_TOKEN>"}',
        '+ headers={"Authorization":"T"}',
        "- data='<requestdata>'",
        "+ data='D'",
    ]
    assert differences(CHAT_CURL, chat_curl("U", "T")) == [
        f"- curl{CHAT_URL}",
        "+ curlU\\",
        f'- -H"Authorization:{CHAT_TOKEN}"\\',
        '+ -H"Authorization:T"\\',
    ]
    assert differences(CHAT_REQUESTS, chat_requests("U", "T")) == [
        f"- url='{CHAT_URL}'",
        "+ url='U'",
        f'- "Authorization":"{CHAT_TOKEN}",',
        '+ "Authorization":"T",',
    ]


def curl_sample(url: str, token: str, data: str) -> str:
    return CURL.replace("<url>", url).replace("<EAS_TOKEN>", token).replace("<request data>", data)


def requests_sample(url: str, token: str, data: str) -> str:
    text = REQUESTS.replace("'<url>'", f"'{url}'").replace('"<EAS_TOKEN>"', f'"{token}"')
    return text.replace("'<request data>'", f"'{data}'")


def chat_curl(url: str, token: str) -> str:
    return CHAT_CURL.replace(f"{CHAT_URL}\n", f"{url} \\\n").replace(CHAT_TOKEN, token)


def chat_requests(url: str, token: str) -> str:
    return CHAT_REQUESTS.replace(CHAT_URL, url).replace(CHAT_TOKEN, token)


def shell(text: str) -> str:
    """What a sample prints that is pasted into a shell."""
    done = finish("sh", "-c", text)
    assert done.returncode == 0, done.stderr
    return done.stdout


def python(folder: Path, text: str) -> str:
    (folder / "sample.py").write_text(text, encoding="utf-8")
    done = finish(sys.executable, "sample.py", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_samples_for_any_service_print_its_answer(gateway, curl, tmp_path):
    url = f"http://{gateway}{ECHO}"
    assert shell(curl_sample(url, TOKEN, "some data")) == "some data"
    assert python(tmp_path, requests_sample(url, TOKEN, "some data")) == "<Response [200]>\nb'some data'\n"


def test_the_samples_for_a_language_model_print_its_answer(gateway, curl, tmp_path):
    url = f"http://{gateway}{ECHO}/v1/chat/completions"
    asked = {
        "model": "DeepSeek-R1-Distill-Qwen-7B",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "hello!"},
        ],
    }
    assert json.loads(shell(chat_curl(url, TOKEN))) == asked
    first, body = python(tmp_path, chat_requests(url, TOKEN)).splitlines()
    assert first == "<Response [200]>"
    assert json.loads(body.removeprefix("b'").removesuffix("'")) == asked
    assert last_call(gateway)["method"] == f"POST {ECHO}/v1/chat/completions"


def test_the_samples_with_a_wrong_token_print_401_and_why(gateway, curl, tmp_path):
    url = f"http://{gateway}{ECHO}"
    why = "wrong token: it has the right form but is not one that this service accepts"
    assert shell(curl_sample(url, "wrong", "x")) == why
    assert python(tmp_path, requests_sample(url, "wrong", "x")) == f"<Response [401]>\nb'{why}'\n"

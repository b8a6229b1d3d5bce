"""The Go sample of the vendor's page against `eas-grpc serve`."""

from __future__ import annotations

import pytest
from interop.differences import differences
from interop.programs import HERE, TOKEN, finish

pytestmark = pytest.mark.interop

FOLDER = HERE / "go/cmd/vendor_sample"


def test_the_program_differs_from_the_page_in_the_imports_the_host_and_the_token():
    original = (FOLDER / "original.txt").read_text()
    assert differences(original, (FOLDER / "main.go").read_text()) == [
        '+ "os"',
        '- pb"your-project/proto"',
        '+ pb"eas-grpc.test/interop/pb/nopackage"',
        '- host:="your-service-endpoint:yourport"',
        "+ host:=os.Args[1]",
        '- token:="your-service-token"',
        "+ token:=os.Args[2]",
    ]


def test_the_sample_logs_the_greeting(serve, go_programs):
    done = finish(go_programs / "vendor_sample", serve, TOKEN)
    assert done.returncode == 0
    assert done.stderr.endswith("Received response: Hello, World!\n")


def test_the_sample_logs_unauthenticated_for_a_wrong_token(serve, go_programs):
    done = finish(go_programs / "vendor_sample", serve, "wrong")
    assert done.returncode == 1
    assert "Call failed: rpc error: code = Unauthenticated desc = wrong token" in done.stderr

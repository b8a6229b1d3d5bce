"""The page about the gateway says what the gateway does: kinds, their values, fixtures, figures."""

from __future__ import annotations

import re

from rules.repository import ROOT

from eas_grpc.testing import plugin
from server_demo.gateway import GatewayOptions, Service
from server_demo.gateway._fault_kinds import COMMON, KINDS
from server_demo.gateway.options import DECOMPRESSORS

TEXT = (ROOT / "docs" / "gateway.md").read_text("utf-8")


def test_every_kind_of_fault_has_a_line_with_all_of_its_values():
    lines = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", TEXT.split("## Faults")[1], re.MULTILINE))
    assert lines.keys() == KINDS.keys()
    for kind in KINDS.values():
        said = set(re.findall(r"`(\w+)`", lines[kind.name]))
        # What is plain from the sentence needs no name.
        missing = {value.name for value in kind.values} - said - {"after", "value", "status"}
        assert not missing, (kind.name, missing)


def test_what_all_faults_take_is_named():
    faults = TEXT.split("## Faults")[1]
    assert [value.name for value in COMMON if f"`{value.name}`" not in faults] == []


def test_every_fixture_is_named():
    assert [name for name in plugin.__all__ if f"`{name}`" not in TEXT] == []


def test_the_figures_are_those_of_the_code():
    shared, dedicated = GatewayOptions(), GatewayOptions.dedicated()
    for figure in (
        f"{shared.max_body_bytes:,} bytes",
        f"{shared.keepalive:g} by default",
        f"{shared.rate_limit:,} calls a second",
        f"{shared.max_header_bytes // 1024} KiB: 431",
        f"{shared.max_concurrent_streams} calls at a time",
        f"after {shared.idle_timeout:g} s without calls",
        f"after {shared.backend_idle_timeout:g} s",
        f"gives a request {dedicated.keepalive:g} s",
        f"idle connections {dedicated.idle_timeout:g} s",
        f"`max_queue_size` of them ({Service(name='a').max_queue_size})",
        f"({', '.join(DECOMPRESSORS)})",
    ):
        assert figure in TEXT, figure

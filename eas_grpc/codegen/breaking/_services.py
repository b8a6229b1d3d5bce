"""Services and rpcs: the path that a call goes to, and what it carries."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import MethodOptions

from eas_grpc.codegen._elements import Element, Kind
from eas_grpc.codegen._suppress import Finding
from eas_grpc.codegen.breaking._pairs import Pairs

__all__ = ["findings"]

# From this share of common rpcs on, a new service counts as the old one under another name.
_SIMILAR = 0.5


def findings(pairs: Pairs) -> Iterator[Finding]:
    """What broke."""
    for service in pairs.gone(Kind.SERVICE):
        yield _service_gone(pairs, service)
    for rpc in pairs.gone(Kind.RPC):
        if rpc.parent in pairs.new_of:
            yield _rpc_gone(pairs, rpc)
    for old, new in pairs.of(Kind.RPC):
        yield from _types(pairs, old, new)
        yield from _streams(old, new)
        yield from _idempotency(old, new)


def _service_gone(pairs: Pairs, service: Element) -> Finding:
    rpcs = pairs.old.inside(service, Kind.RPC)
    best = max(pairs.fresh(Kind.SERVICE), key=lambda new: _similarity(pairs, service, new), default=None)
    element = pairs.place(service)
    if best is not None and _similarity(pairs, service, best) >= _SIMILAR:
        names = {rpc.name for rpc in pairs.new.inside(best, Kind.RPC)}
        paths = ", ".join(
            f"/{service.full_name}/{rpc.name} -> /{best.full_name}/{rpc.name}"
            for rpc in rpcs
            if rpc.name in names
        )
        text = f"{service} is {best.full_name} now; a gateway routes by path, and these change: {paths}"
        # The new name is what the author looks at, even where the old file is gone.
        element, hint = best, "keep the old service as well: both may be served by one class"
    else:
        text = f"{service} is gone: calls to /{service.full_name}/... end with UNIMPLEMENTED"
        hint = "keep it, marked as deprecated, until nobody calls it"
    return Finding(
        rule="SERVICE_NO_DELETE",
        element=element,
        about=service.full_name,
        text=text,
        hint=hint,
        more=len(rpcs),
    )


def _rpc_gone(pairs: Pairs, rpc: Element) -> Finding:
    service = pairs.place(rpc)
    fresh = pairs.fresh(Kind.RPC)
    twins = [
        new for new in pairs.new.inside(service, Kind.RPC) if new in fresh and _same_call(pairs, rpc, new)
    ]
    path = f"/{service.full_name}/{rpc.name}"
    if len(twins) == 1:
        text = (
            f"{rpc} is {twins[0].name} now: the path changes, {path} -> /{service.full_name}/{twins[0].name}"
        )
    else:
        text = f"{rpc} is gone: calls to {path} end with UNIMPLEMENTED"
    return Finding(
        rule="RPC_NO_DELETE",
        element=twins[0] if len(twins) == 1 else service,
        about=rpc.full_name,
        text=text,
        hint="keep it, marked as deprecated, until nobody calls it",
    )


def _types(pairs: Pairs, old: Element, new: Element) -> Iterator[Finding]:
    for rule, what, before, after in (
        ("RPC_SAME_REQUEST_TYPE", "takes", old.proto.input_type, new.proto.input_type),
        ("RPC_SAME_RESPONSE_TYPE", "returns", old.proto.output_type, new.proto.output_type),
    ):
        if not pairs.same_type(before, after):
            yield Finding(
                rule=rule,
                element=new,
                text=f"{new} {what} {after.lstrip('.')}, and no longer {before.lstrip('.')}",
                hint="add an rpc for the new message",
            )


def _streams(old: Element, new: Element) -> Iterator[Finding]:
    for rule, what, before, after in (
        ("RPC_SAME_CLIENT_STREAMING", "request", old.proto.client_streaming, new.proto.client_streaming),
        ("RPC_SAME_SERVER_STREAMING", "response", old.proto.server_streaming, new.proto.server_streaming),
    ):
        if before != after:
            now, then = ("a stream", "a single message") if after else ("a single message", "a stream")
            yield Finding(
                rule=rule,
                element=new,
                text=f"the {what} of {new} is {now}, and no longer {then}: old and new stubs call it differently",
                hint="add an rpc for the new kind of call",
            )


def _idempotency(old: Element, new: Element) -> Iterator[Finding]:
    before, after = old.proto.options.idempotency_level, new.proto.options.idempotency_level
    if before != after:
        name = MethodOptions.IdempotencyLevel.Name
        yield Finding(
            rule="RPC_SAME_IDEMPOTENCY_LEVEL",
            element=new,
            text=f"{new} is {name(after)}, and no longer {name(before)}: who retries or caches by it is misled",
        )


def _similarity(pairs: Pairs, old: Element, new: Element) -> float:
    """The share of rpc names that two services have in common."""
    before = {rpc.name for rpc in pairs.old.inside(old, Kind.RPC)}
    after = {rpc.name for rpc in pairs.new.inside(new, Kind.RPC)}
    return len(before & after) / max(1, len(before | after))


def _same_call(pairs: Pairs, old: Element, new: Element) -> bool:
    return (
        pairs.same_type(old.proto.input_type, new.proto.input_type)
        and pairs.same_type(old.proto.output_type, new.proto.output_type)
        and old.proto.client_streaming == new.proto.client_streaming
        and old.proto.server_streaming == new.proto.server_streaming
    )

"""Whether a call is let in, by its head alone: to which service, with which credentials, within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server_demo.gateway import _answers as answers
from server_demo.gateway._answers import Answer
from server_demo.gateway._auth import Form, grpc_verdict, http_verdict, needs_body
from server_demo.gateway._exchange import Head
from server_demo.gateway._routing import Route, route

if TYPE_CHECKING:
    from server_demo.gateway._core import Behind, Core

__all__ = ["Admission", "admit"]


@dataclass(slots=True)
class Admission:
    """What was found out; `refusal` is what to answer a call that is not let in.

    `target` is what the service sees of the path, `limit` the largest body (or message) in bytes. With
    `for_instances` it is a question to service discovery; with `whole_body` the body has to be there before it goes on.
    """

    target: str
    refusal: Answer | None = None
    behind: Behind | None = None
    form: Form | None = None
    limit: int | None = None
    for_instances: bool = False
    whole_body: bool = False


def admit(core: Core, head: Head, *, grpc: bool, instance_of: str | None) -> Admission:
    """Decides over a call; `instance_of` names the service whose instance it came to directly.

    An instance has the gateway's checks, but not its limit for bodies.
    """
    options = core.options
    found = Admission(head.target, limit=options.max_body_bytes if instance_of is None else None)
    found.refusal = _find(found, core, head, grpc=grpc, instance_of=instance_of)
    if found.refusal is not None or found.behind is None:
        return found
    service = found.behind.service
    size = (
        len(head.target) + len(head.authority) + sum(len(name) + len(value) for name, value in head.headers)
    )
    if size > options.max_header_bytes:
        found.refusal = answers.headers_too_large(options.max_header_bytes)
        return found
    if found.for_instances:
        found.refusal = None if head.method == "GET" else answers.wrong_method("GET")
        return found
    verdict = (
        grpc_verdict(head, service.tokens)
        if grpc
        else http_verdict(head, service.tokens, strict=options.strict_auth)
    )
    found.form = verdict.form
    if verdict.refusal is not None:
        found.refusal = answers.unauthorized(verdict.refusal)
    elif found.limit is not None and not grpc and _length(head) > found.limit:
        found.refusal = answers.too_large(found.limit)
    elif not found.behind.rate.admit(core.now()):
        found.refusal = answers.too_many(found.behind.rate_limit)
    else:
        signed = needs_body(head, options.strict_auth)
        found.whole_body = not grpc and (signed or service.decompressor is not None)
    return found


def _find(found: Admission, core: Core, head: Head, *, grpc: bool, instance_of: str | None) -> Answer | None:
    """Puts the service in, or says why there is none."""
    if grpc:
        name = instance_of or core.grpc_service(head.authority)
    else:
        way: Route = route(head, core.services if instance_of is None else (instance_of,))
        if way.kind == "refused":
            return answers.bad_request("this path can be read in two ways: send it without . and .. segments")
        name, found.target, found.for_instances = way.service, way.rest, way.kind == "discovery"
    behind = None if name is None else core.services.get(name)
    if behind is None:
        return answers.no_service(core.services, grpc=grpc)
    found.behind = behind
    if not found.for_instances and (behind.grpc if grpc else behind.http) is None:
        return answers.not_spoken(behind.service.name, "gRPC" if grpc else "HTTP")
    return None


def _length(head: Head) -> int:
    length = head.get(b"content-length") or b""
    return int(length) if length.isdigit() else 0

"""A schema from a running service: the conversation with its reflection, v1 and then v1alpha."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

from eas_grpc.errors import CallError, CallFailure
from eas_grpc.schema._errors import ReflectionError, visible
from eas_grpc.schema._files import completed, sorted_out
from eas_grpc.schema._gather import Answer, Gathered, Question, Rounds, gather
from eas_grpc.schema._reflection_messages import VERSIONS, messages
from eas_grpc.schema._schema import Schema

__all__ = ["from_reflection"]

_REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED")
_OTHERWISE = (
    "name .proto files (--proto), a descriptor set (--descriptor-set) or a generated module (--module)"
)
_GATEWAY = (
    "a gateway answered with HTTP {} in the service's place, so nothing is known of its reflection: check the address,"
    " the token and metadata.enable_grpc"
)


def from_reflection(
    channel: grpc.Channel,
    *,
    timeout: float,
    symbols: Iterable[str] = (),
    metadata: Sequence[tuple[str, str | bytes]] = (),
    address: str = "",
) -> Schema:
    """The schema that a service tells of itself, by reflection v1 or, where it has only that, v1alpha.

    `symbols`: services, methods or messages whose files are enough, which is quicker; where one of them is not found,
    and without any, everything that the service lists. `timeout`: seconds for all of it. `address`: shown as the origin.
    Raises ReflectionError; a CallError that is about the way to the service passes through.
    """
    wanted = tuple(symbols)
    until = time.monotonic() + timeout
    for version in VERSIONS:
        try:
            found = _converse(channel, version, gather(wanted), until, metadata)
        except (CallError, grpc.RpcError) as error:
            failure = _failure(error)
            if failure.status == "UNIMPLEMENTED" and not _from_gateway(failure):
                continue
            raise _explained(error, failure) from error
        try:
            return _schema(
                found, f"reflection {version} of {address}" if address else f"reflection {version}"
            )
        except ReflectionError as error:
            told = ReflectionError(f"{error}; {_OTHERWISE}", error.reason)
            told.services = found.services or ()
            raise told from error
    raise ReflectionError(
        f"{address or 'the service'} answers, but has no reflection (neither v1 nor v1alpha): serve it with reflection,"
        f" or {_OTHERWISE}",
        "off",
    )


def _schema(found: Gathered, origin: str) -> Schema:
    files = completed(found.files.values(), origin=origin, error=ReflectionError)
    if found.services is not None:
        good, bad = sorted_out(files)
        # Asked for everything, what is of use is kept.
        if any(file.service for file in good):
            found.undescribed.update(_services_of((file for file in files if file.name in bad), bad))
            files = good
    return Schema(
        files,
        origin=origin,
        services=found.services,
        notes=found.notes,
        undescribed=found.undescribed,
        error=ReflectionError,
    )


def _services_of(files: Iterable[FileDescriptorProto], why: Mapping[str, str]) -> dict[str, str]:
    return {
        f"{file.package}.{service.name}".lstrip("."): why[file.name]
        for file in files
        for service in file.service
    }


def _converse(
    channel: grpc.Channel,
    version: str,
    asking: Rounds[Gathered],
    until: float,
    metadata: Sequence[tuple[str, str | bytes]],
) -> Gathered:
    """Puts the questions of `asking` to the service, a call for each round, until it is content.

    One call for all of them would do for a service itself; but something between that wants to see a whole request
    before it answers, and be it with HTTP 404, would wait for ever.
    """
    request, _ = messages()
    stub: Any = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=None,
        response_deserializer=None,
    )
    try:
        questions = next(asking)
        while True:
            data = [request(**{each.kind: each.value}).SerializeToString() for each in questions]
            left = max(until - time.monotonic(), 0.001)
            call = stub(iter(data), timeout=left, metadata=tuple(metadata))
            try:
                answers = [_answer(each, reply) for each, reply in zip(questions, call, strict=False)]
            finally:
                call.cancel()
            if len(answers) < len(questions):
                raise ReflectionError("its reflection ends the conversation without an answer")
            questions = asking.send(answers)
    except StopIteration as done:
        found: Gathered = done.value
        return found


def _answer(question: Question, data: bytes) -> Answer:
    _, response = messages()
    try:
        answer = response.FromString(data)
    except DecodeError:
        raise ReflectionError(
            "its reflection answers with something that is no answer of reflection"
        ) from None
    kind = answer.WhichOneof("message_response")
    if kind == "error_response":
        error = answer.error_response
        return Answer(code=error.error_code, text=visible(" ".join(error.error_message.split())[:200]))
    if kind == "list_services_response" and question.kind == "list_services":
        return Answer(services=tuple(each.name for each in answer.list_services_response.service))
    if kind == "file_descriptor_response" and question.kind != "list_services":
        return Answer(files=tuple(answer.file_descriptor_response.file_descriptor_proto))
    raise ReflectionError(f"its reflection answers {question.kind} with {kind or 'nothing'}")


def _failure(error: Any) -> CallFailure:
    if isinstance(error, CallError):
        return error.failure
    return CallFailure(status=error.code().name, details=error.details() or "")


def _from_gateway(failure: CallFailure) -> bool:
    return failure.http_status is not None or "http2 header with status" in failure.details


def _explained(error: Exception, failure: CallFailure) -> Exception:
    """What to raise for a failed conversation: about the token, about a gateway, or the error itself."""
    if failure.status in _REFUSED:
        who = f"the gateway (HTTP {failure.http_status})" if failure.http_status else "the service"
        text = f"{who} refuses to tell the schema with {failure.status}"
        text += f": {failure.details}" if failure.details else ""
        return ReflectionError(
            f"{text}\n  hint: {failure.hint}" if failure.hint else text, "refused", failure
        )
    if _from_gateway(failure) and failure.status == "UNIMPLEMENTED" and isinstance(error, CallError):
        return CallError(failure.with_hint(_GATEWAY.format(failure.http_status)))
    return error

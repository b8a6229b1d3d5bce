"""What a client decides about a request before it is sent, and about its answer: shared by both colours.

Knows no channel and no clock; what it remembers is the descriptions of models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from eas_grpc.calls import check_metadata
from eas_grpc.errors import ConfigError
from eas_grpc.inference._errors import InferenceError, reported
from eas_grpc.inference._protocols import Protocol
from eas_grpc.inference._split import common_rows, joined, ranges, rows_of
from eas_grpc.options import PROFILES, check_seconds
from eas_grpc.tensors._arrays import Array, as_array
from eas_grpc.tensors._messages import Parameter, Request
from eas_grpc.tensors._parts import join, size_of
from eas_grpc.tensors._specs import ModelSpec, misfit

__all__ = [
    "GATEWAY_LIMIT",
    "NOTHING",
    "Inputs",
    "Job",
    "Metadata",
    "OnLarge",
    "Outputs",
    "Parameters",
    "Planner",
    "said",
    "unknown_model",
]

Inputs = Mapping[str, object]
Outputs = dict[str, Array]
OnLarge = Literal["send", "split", "upload"]
Metadata = Sequence[tuple[str, "str | bytes"]]
Parameters = Mapping[str, Parameter]

GATEWAY_LIMIT = PROFILES["gateway"].max_request_bytes

# What a question about the server is about.
NOTHING = ("", "", "")

# So that a chunk with its fields stays below the size at which a channel warns.
_CHUNK = 512 * 1024 - 64
_FIELDS_OF_A_CHUNK = 64


class Job(NamedTuple):
    """What one request becomes: calls of a method, whose payloads are made when they are sent.

    `rows` are those that each of the calls has; None where there is one call, which has everything.
    """

    method: str
    payloads: Sequence[Callable[[], bytes | Iterator[bytes]]]
    rows: tuple[int, ...] | None = None


class Planner:
    """One per client. Its settings are checked at once: ConfigError."""

    def __init__(
        self,
        protocol: Protocol,
        *,
        on_large: OnLarge,
        max_request: int | None,
        specs: Mapping[str, ModelSpec] | None,
        typed: bool = False,
    ) -> None:
        ways = ("send", "split", "upload") if protocol.chunks else ("send", "split")
        if on_large not in ways:
            raise ConfigError(
                f"on_large={on_large!r} is unknown to {protocol.service}: write one of {', '.join(map(repr, ways))}"
            )
        if max_request is not None and (type(max_request) is not int or max_request <= 0):
            raise ConfigError(
                f"max_request={max_request!r} is no size: write bytes above 0, or None for no limit"
            )
        for name, spec in (specs or {}).items():
            if not isinstance(spec, ModelSpec):
                raise ConfigError(f"specs[{name!r}] must be a tensors.ModelSpec, not {type(spec).__name__}")
        self.protocol = protocol
        self.method = protocol.methods["infer"][1]
        self._sends_all = on_large == "send" or max_request is None
        self._uploads = on_large == "upload"
        self._max_request = max_request or 0
        self._typed = typed
        self._given = dict(specs or {})
        self._described: dict[tuple[str, str, str], ModelSpec] = {}
        self._looks = not self._sends_all or bool(self._given)

    def asked(
        self,
        model: str,
        outputs: Sequence[str] | None,
        version: str = "",
        id: str = "",  # noqa: A002
        signature: str = "",
        parameters: Parameters | None = None,
    ) -> Request:
        """What is said beside the inputs. Raises ConfigError for what the protocol has no place for."""
        if not isinstance(model, str) or not model:
            raise ConfigError(f"the model must be named by a text, not {model!r}")
        if outputs is not None:
            outputs = _names(outputs)
        if version or id or signature or parameters:
            for name, value in (("version", version), ("id", id), ("signature", signature)):
                if not isinstance(value, str):
                    raise ConfigError(f"{name}= must be a text, such as '1', not {value!r}")
            if parameters and not (
                isinstance(parameters, Mapping) and all(isinstance(name, str) for name in parameters)
            ):
                raise ConfigError("parameters= must be values by name, such as {'priority': 1}")
            self._has_place_for(version=version, id=id, signature=signature, parameters=parameters)
        return Request(model, {}, outputs or (), version, id, parameters or {}, signature, typed=self._typed)

    def question(self, model: str, version: str, signature: str = "") -> tuple[str, str, str]:
        """What is said in a question about a model. Raises ConfigError as `asked` does."""
        self.asked(model, None, version, signature=signature)
        return model, version, signature

    def ready(self, model: str | None, version: str) -> tuple[str, tuple[str, str, str]]:
        """Which question asks for readiness, and about what. Raises ConfigError where only models can be asked for."""
        if model is not None:
            return "model_ready", self.question(model, version)
        if "server_ready" not in self.protocol.questions:
            raise ConfigError(f"{self.protocol.service} can be asked about a model alone: write ready(model)")
        return "server_ready", NOTHING

    def request(self, asked: Request, inputs: Inputs) -> Request:
        """The request, whose inputs fit the model as far as it is known. Raises ConfigError."""
        if not isinstance(inputs, Mapping):
            raise ConfigError(
                f"the inputs must be arrays by name, such as {{'images': images}}, not {type(inputs).__name__}"
            )
        for name in inputs:
            if not isinstance(name, str):
                raise ConfigError(f"the name of an input must be a text, not {name!r}")
        if not self._looks:
            return asked._replace(inputs=inputs)  # type: ignore[arg-type]
        arrays = {name: as_array(value, name) for name, value in inputs.items()}
        spec = self._spec(asked)
        if spec is not None and (why := misfit(spec, arrays)) is not None:
            raise ConfigError(why)
        return asked._replace(inputs=arrays)

    def payload(self, request: Request) -> bytes | None:
        """The request's bytes; None when `on_large` asks for something else than one call."""
        if self._sends_all:
            return self.protocol.encode(request)
        parts = self.protocol.parts(request)
        return join(parts) if sum(map(size_of, parts)) <= self._max_request else None

    def job(self, request: Request) -> Job:
        """How the request is sent: whole, in pieces or as an upload. Raises ConfigError where it cannot be split."""
        if self._sends_all:
            return Job("infer", (partial(self.protocol.encode, request),))
        parts = self.protocol.parts(request)
        size = sum(map(size_of, parts))
        if size <= self._max_request:
            return Job("infer", (partial(join, parts),))
        if self._uploads and self.protocol.chunks is not None:
            chunk = max(min(_CHUNK, self._max_request - _FIELDS_OF_A_CHUNK), 1)
            return Job("upload", (partial(self.protocol.chunks, parts, chunk),))
        try:
            return self._split(request)
        except ConfigError as error:
            raise ConfigError(
                f"the request has {size:,} bytes, above max_request={self._max_request:,}, and {error}"
            ) from None

    def outputs(self, data: bytes) -> Outputs:
        """The arrays of an answer. Raises WireError."""
        return dict(self.protocol.decode(data).outputs)

    def answer(self, job: Job, answers: Sequence[bytes]) -> Outputs:
        """The arrays that a job's answers make. Raises WireError, and InferenceError where they do not fit together."""
        if job.rows is None:
            return self.outputs(answers[0])
        return joined([self.outputs(each) for each in answers], job.rows, self.method)

    def streamed(self, data: bytes) -> Outputs | InferenceError:
        """What one message of a stream holds. Raises WireError."""
        assert self.protocol.read_stream is not None
        response, error = self.protocol.read_stream(data)
        if error:
            return reported(error, self.protocol.methods["stream"][1])
        return {} if response is None else dict(response.outputs)

    def learn(self, about: tuple[str, str, str], found: Mapping[str, ModelSpec]) -> ModelSpec:
        """Remembers a model's description, by signature, and returns the one that was asked for.

        Raises ConfigError where there is no such signature.
        """
        model, version, signature = about
        if signature not in found:
            listed = ", ".join(repr(name[:100]) for name in sorted(found) if name) or "none"
            missing = f"signature {signature[:100]!r}" if signature else "default signature"
            raise ConfigError(
                f"model {model[:100]!r} has no {missing}: write signature= with one of {listed}"
            )
        for name, spec in found.items():
            self._described[model, version, name] = spec
        self._looks = True
        return found[signature]

    def forget(self, model: str) -> None:
        """Forgets what is known of a model."""
        self._given.pop(model, None)
        for key in [key for key in list(self._described) if key[0] == model]:
            self._described.pop(key, None)

    def _spec(self, asked: Request) -> ModelSpec | None:
        found = self._described.get((asked.model, asked.version, asked.signature))
        return self._given.get(asked.model) if found is None else found

    def _split(self, request: Request) -> Job:
        rows = common_rows(request.inputs)

        def piece(start: int, stop: int) -> Request:
            return request._replace(inputs=rows_of(request.inputs, start, stop))

        def size(start: int, stop: int) -> int:
            return sum(map(size_of, self.protocol.parts(piece(start, stop))))

        found = ranges(rows, size, self._max_request)
        return Job(
            "infer",
            [partial(self.protocol.encode, piece(*each)) for each in found],
            tuple(stop - start for start, stop in found),
        )

    def _has_place_for(self, **keywords: object) -> None:
        for name, value in keywords.items():
            if value and name not in self.protocol.keywords:
                raise ConfigError(f"{self.protocol.service} has no place for {name}=: leave it out")


def said(deadline: float | None, metadata: Metadata | None) -> dict[str, Any]:
    """What a call is told: nothing where the caller said nothing, so that the channel's own defaults hold."""
    options: dict[str, Any] = {}
    if deadline is not None:
        options["timeout"] = check_seconds("deadline", deadline)
    if metadata:
        if isinstance(metadata, Mapping):
            raise ConfigError("metadata= must be (key, value) pairs: write list(metadata.items())")
        options["metadata"] = check_metadata(metadata)
    return options


def unknown_model(error: Any) -> bool:
    """Whether a grpc error says that there is no such model, which is then not ready."""
    return bool(error.code().name == "NOT_FOUND")


def _names(outputs: Sequence[str]) -> tuple[str, ...]:
    names = tuple(outputs)
    if isinstance(outputs, str) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"outputs= must be names, such as ['scores'], not {outputs!r}")
    return names

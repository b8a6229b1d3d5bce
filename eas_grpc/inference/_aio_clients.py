"""The asyncio clients: what callers see. The calls are made in `_aio`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import grpc
import grpc.aio

from eas_grpc.errors import ConfigError
from eas_grpc.inference import _protocols
from eas_grpc.inference._aio import AsyncShell, each_of
from eas_grpc.inference._many import IN_FLIGHT, Many, Progress, check_items
from eas_grpc.inference._plan import (
    GATEWAY_LIMIT,
    NOTHING,
    Inputs,
    Metadata,
    OnLarge,
    Outputs,
    Parameters,
    Planner,
    said,
    unknown_model,
)
from eas_grpc.inference._protocols import Protocol
from eas_grpc.inference._records import ServerMetadata, VersionStatus
from eas_grpc.tensors._specs import ModelSpec

if TYPE_CHECKING:
    from eas_grpc_pb.open_inference.v2.model_config_pb2 import ModelConfig

__all__ = ["AsyncInferenceClient", "AsyncOpenInferenceClient", "AsyncTFServingClient", "AsyncTensorClient"]


class AsyncInferenceClient:
    """What the clients of the three protocols have in common. Make one of those, once per channel, and keep it.

    `channel` is one of ours (`aio.connect`) or any other `grpc.aio.Channel`; it stays the caller's to close.
    `on_large` says what becomes of a request of more than `max_request` bytes (None: no limit): "send" it all the
    same, and the channel decides; "split" it along the first axis of its inputs into several, whose outputs are
    joined again; "upload" it in chunks, which AsyncTensorClient can; that reads the arrays while the call is under way.
    `specs` tells what models take, by name: inputs that do not fit are then refused before anything is sent.
    Raises ConfigError.
    """

    _typed = False

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        on_large: OnLarge = "send",
        max_request: int | None = GATEWAY_LIMIT,
        specs: Mapping[str, ModelSpec] | None = None,
    ) -> None:
        self._plan = Planner(
            self._protocol(), on_large=on_large, max_request=max_request, specs=specs, typed=self._typed
        )
        self._shell = AsyncShell(channel, self._plan)
        self._infer = self._shell.calls["infer"]

    async def infer(
        self,
        model: str,
        inputs: Inputs,
        outputs: Sequence[str] | None = None,
        deadline: float | None = None,
        *,
        version: str = "",
        id: str = "",  # noqa: A002
        signature: str = "",
        parameters: Parameters | None = None,
        metadata: Metadata | None = None,
    ) -> Outputs:
        """Runs `model` once on arrays by name; its outputs by name are read-only views of the answer.

        `outputs` names those wanted, None means all. `deadline` is in seconds, for all that is sent; None leaves it
        to the channel. `version`, `id`, `parameters` (Open Inference) and `version`, `signature` (TensorFlow
        Serving) go where the protocol has a place for them. Raises ConfigError before anything is sent, the
        channel's own errors, and WireError for an answer that cannot be read.
        """
        options = said(deadline, metadata)
        asked = self._plan.asked(model, outputs, version, id, signature, parameters)
        payload = self._plan.payload(request := self._plan.request(asked, inputs))
        if payload is None:
            return await self._shell.large(request, options)
        return self._plan.outputs(await self._infer(payload, **options))

    @overload
    def infer_many(
        self,
        model: str,
        inputs: Iterable[Inputs] | AsyncIterable[Inputs],
        outputs: Sequence[str] | None = None,
        deadline: float | None = None,
        *,
        in_flight: int = IN_FLIGHT,
        on_progress: Progress | None = None,
        return_errors: Literal[False] = False,
        version: str = "",
        id: str = "",
        signature: str = "",
        parameters: Parameters | None = None,
        metadata: Metadata | None = None,
    ) -> AsyncGenerator[Outputs, None]: ...
    @overload
    def infer_many(
        self,
        model: str,
        inputs: Iterable[Inputs] | AsyncIterable[Inputs],
        outputs: Sequence[str] | None = None,
        deadline: float | None = None,
        *,
        in_flight: int = IN_FLIGHT,
        on_progress: Progress | None = None,
        return_errors: bool,
        version: str = "",
        id: str = "",
        signature: str = "",
        parameters: Parameters | None = None,
        metadata: Metadata | None = None,
    ) -> AsyncGenerator[Outputs | Exception, None]: ...
    def infer_many(
        self,
        model: str,
        inputs: Iterable[Inputs] | AsyncIterable[Inputs],
        outputs: Sequence[str] | None = None,
        deadline: float | None = None,
        *,
        in_flight: int = IN_FLIGHT,
        on_progress: Progress | None = None,
        return_errors: bool = False,
        version: str = "",
        id: str = "",  # noqa: A002
        signature: str = "",
        parameters: Parameters | None = None,
        metadata: Metadata | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Runs `model` for each of the inputs, with at most `in_flight` calls at once; results in their order.

        The inputs, of a plain or an asynchronous iterable, are taken as room for them comes: no more of them than
        `in_flight` are on their way between it and you. `deadline` is the time of each. `on_progress` is called
        with the results handed over so far and their number in all, None where the iterable has no length. The
        first failure is raised and the rest cancelled; with `return_errors` an exception takes its place among
        the results. To stop early, leave the loop: what is under way is cancelled.
        """
        asked = self._plan.asked(model, outputs, version, id, signature, parameters)
        many = Many(
            self._plan,
            asked,
            inputs,
            said(deadline, metadata),
            in_flight=in_flight,
            on_progress=on_progress,
            return_errors=return_errors,
        )
        return self._shell.run(many, inputs)

    @overload
    def infer_stream(
        self,
        model: str,
        inputs: Iterable[Inputs] | AsyncIterable[Inputs],
        outputs: Sequence[str] | None = None,
        deadline: float | None = None,
        *,
        return_errors: Literal[False] = False,
        version: str = "",
        id: str = "",
        signature: str = "",
        parameters: Parameters | None = None,
        metadata: Metadata | None = None,
    ) -> AsyncGenerator[Outputs, None]: ...
    @overload
    def infer_stream(
        self,
        model: str,
        inputs: Iterable[Inputs] | AsyncIterable[Inputs],
        outputs: Sequence[str] | None = None,
        deadline: float | None = None,
        *,
        return_errors: bool,
        version: str = "",
        id: str = "",
        signature: str = "",
        parameters: Parameters | None = None,
        metadata: Metadata | None = None,
    ) -> AsyncGenerator[Outputs | Exception, None]: ...
    def infer_stream(
        self,
        model: str,
        inputs: Iterable[Inputs] | AsyncIterable[Inputs],
        outputs: Sequence[str] | None = None,
        deadline: float | None = None,
        *,
        return_errors: bool = False,
        version: str = "",
        id: str = "",  # noqa: A002
        signature: str = "",
        parameters: Parameters | None = None,
        metadata: Metadata | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Runs `model` for each of the inputs over one call that streams both ways; answers as they come, in order.

        The call starts when the first answer is asked for, takes the inputs in a task of grpc's as fast as the
        service reads them, and is cancelled when you leave the loop. `deadline` is for the whole of it; None
        leaves the channel's limits for silence. A model of an Open Inference server may answer several times, or
        never; a failure that such a server reports for one request is raised as InferenceError or, with
        `return_errors`, takes its place among the answers. What ends the stream is always raised. TensorFlow
        Serving has no streams: there this makes single calls, as `infer_many` does.
        """
        asked = self._plan.asked(model, outputs, version, id, signature, parameters)
        options = said(deadline, metadata)
        if "stream" not in self._shell.calls:
            many = Many(self._plan, asked, inputs, options, return_errors=return_errors, one_deadline=True)
            return self._shell.run(many, inputs)
        check_items(inputs)
        requests = (self._plan.request(asked, each) async for each in each_of(inputs))
        return self._shell.stream(requests, options, return_errors=return_errors)

    async def describe(
        self, model: str, version: str = "", signature: str = "", *, deadline: float | None = None
    ) -> ModelSpec:
        """What a model takes and gives. From then on its inputs are checked before they are sent.

        Of TensorFlow Serving's signatures it is the one named, else "serving_default", else the only one. Raises
        ConfigError where there is no such signature.
        """
        about = self._plan.question(model, version, signature)
        return self._plan.learn(about, await self._shell.ask("describe", about, said(deadline, None)))

    def forget(self, model: str) -> None:
        """Forgets what is known of a model: its inputs are not checked any more."""
        self._plan.forget(model)

    async def ready(
        self, model: str | None = None, version: str = "", *, deadline: float | None = None
    ) -> bool:
        """Whether the service runs this model now, or, of an Open Inference server, whether it takes requests at all.

        False only where the service says so, or answers NOT_FOUND. Raises the channel's errors.
        """
        question, about = self._plan.ready(model, version)
        try:
            return bool(await self._shell.ask(question, about, said(deadline, None)))
        except grpc.RpcError as error:
            if unknown_model(error):
                return False
            raise

    def _protocol(self) -> Protocol:
        raise ConfigError(
            "this class is what the clients have in common: make one of a protocol, such as TensorClient"
        )


class AsyncTensorClient(AsyncInferenceClient):
    """For our own TensorService, which `eas_grpc.serving` and the demo server offer."""

    def _protocol(self) -> Protocol:
        return _protocols.native()

    def infer_partial(
        self,
        model: str,
        inputs: Inputs,
        outputs: Sequence[str] | None = None,
        deadline: float | None = None,
        *,
        metadata: Metadata | None = None,
    ) -> AsyncGenerator[Outputs, None]:
        """Runs `model` once and gives parts of its result as they become ready.

        The call starts when the first part is asked for and is cancelled when you leave the loop. `deadline` is for
        the whole of it; None leaves the channel's limits for silence. Raises as `infer` does.
        """
        options = said(deadline, metadata)
        request = self._plan.request(self._plan.asked(model, outputs), inputs)
        return self._shell.partial(self._plan.protocol.encode(request), options)


class AsyncOpenInferenceClient(AsyncInferenceClient):
    """For servers of the Open Inference Protocol v2: Triton, KServe, MLServer, OpenVINO Model Server and others.

    `typed` sends elements as typed values, one by one: slower, for servers that do not take raw bytes.
    """

    def _protocol(self) -> Protocol:
        return _protocols.open_inference()

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        on_large: OnLarge = "send",
        max_request: int | None = GATEWAY_LIMIT,
        specs: Mapping[str, ModelSpec] | None = None,
        typed: bool = False,
    ) -> None:
        self._typed = typed
        super().__init__(channel, on_large=on_large, max_request=max_request, specs=specs)

    async def live(self, *, deadline: float | None = None) -> bool:
        """Whether the server says that it is alive. Raises the channel's errors."""
        return bool(await self._shell.ask("live", NOTHING, said(deadline, None)))

    async def server_metadata(self, *, deadline: float | None = None) -> ServerMetadata:
        """What the server is."""
        found: ServerMetadata = await self._shell.ask("server_metadata", NOTHING, said(deadline, None))
        return found

    async def model_config(
        self, model: str, version: str = "", *, deadline: float | None = None
    ) -> ModelConfig:
        """How the model is configured, as Triton's own message; other servers do not have this method."""
        about = self._plan.question(model, version)
        found: ModelConfig = await self._shell.ask("model_config", about, said(deadline, None))
        return found


class AsyncTFServingClient(AsyncInferenceClient):
    """For TensorFlow Serving. Its protocol has no streams: `infer_stream` makes single calls, as `infer_many` does."""

    def _protocol(self) -> Protocol:
        return _protocols.tf_serving()

    async def model_status(
        self, model: str, version: str = "", *, deadline: float | None = None
    ) -> list[VersionStatus]:
        """How far the server is with each version of the model, or with the one named."""
        about = self._plan.question(model, version)
        return list(await self._shell.ask("model_status", about, said(deadline, None)))

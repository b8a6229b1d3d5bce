"""The handlers for the asyncio server: plain models run in threads, `async def` models on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, NoReturn, TypeVar

import grpc

from eas_grpc.serving._calls import report_failure
from eas_grpc.serving._models._answers import Catalog, Format, Job, Outputs, read
from eas_grpc.serving._models._refusals import REFUSALS, BadInput, Refused, verdict
from eas_grpc.serving._models._uploads import Budget, Upload

__all__ = ["AsyncShell"]

T = TypeVar("T")

Context = grpc.aio.ServicerContext[Any, Any]

# What is read and written on the event loop itself; above it a thread does, so that no message, however it is
# made, holds up the other calls.
_SMALL = 64 * 1024

_END: Any = object()


class AsyncShell:
    """Makes the methods of a service; bytes come in and go out, so that a bad message gets a status of ours."""

    def __init__(self, catalog: Catalog, budget: Budget) -> None:
        self._catalog = catalog
        self._budget = budget

    def control(self, answer: Callable[[bytes], bytes]) -> Any:
        """A method whose answer needs no model to run."""

        async def control(data: bytes, context: Context) -> bytes:
            try:
                return answer(data)
            except Refused as error:
                await _abort(context, error)

        return grpc.unary_unary_rpc_method_handler(control)

    def once(self, format_: Format) -> Any:
        """One request, one whole result."""

        async def once(data: bytes, context: Context) -> bytes:
            try:
                return await self._answer(format_, data)
            except REFUSALS as error:
                await _abort(context, error)

        return grpc.unary_unary_rpc_method_handler(once)

    def in_parts(self, format_: Format) -> Any:
        """One request, its result part by part."""

        async def in_parts(data: bytes, context: Context) -> AsyncIterator[bytes]:
            try:
                job = self._catalog.find(format_, await _read(format_, data))
                async with aclosing(_answers(job)) as answers:
                    async for answer in answers:
                        yield answer
            except REFUSALS as error:
                await _abort(context, error)

        return grpc.unary_stream_rpc_method_handler(in_parts)

    def one_by_one(self, format_: Format) -> Any:
        """For each request one whole result; the first failure ends the stream."""

        async def one_by_one(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            try:
                async for data in requests:
                    yield await self._answer(format_, data)
            except REFUSALS as error:
                await _abort(context, error)

        return grpc.stream_stream_rpc_method_handler(one_by_one)

    def whatever_happens(self, format_: Format, method: str) -> Any:
        """For each request its result part by part; a failure is an answer too, and the stream goes on."""

        async def whatever_happens(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            async for data in requests:
                request = None
                try:
                    request = await _read(format_, data)
                    async with aclosing(_answers(self._catalog.find(format_, request))) as answers:
                        async for answer in answers:
                            yield answer
                except REFUSALS as error:
                    yield format_.failed(request, verdict(error)[1])
                except Exception as error:
                    yield format_.failed(request, report_failure(method, context, error)[1])

        return grpc.stream_stream_rpc_method_handler(whatever_happens)

    def uploaded(self, format_: Format) -> Any:
        """A request in pieces, one whole result."""

        async def uploaded(chunks: AsyncIterator[bytes], context: Context) -> bytes:
            try:
                with Upload(self._budget) as upload:
                    async for chunk in chunks:
                        if len(chunk) <= _SMALL:
                            upload.add(chunk)
                        else:
                            await asyncio.to_thread(upload.add, chunk)
                    return await self._answer(format_, upload.message())
            except REFUSALS as error:
                await _abort(context, error)

        return grpc.stream_unary_rpc_method_handler(uploaded)

    async def _answer(self, format_: Format, data: bytes | memoryview) -> bytes:
        if len(data) > _SMALL:
            begun = await _in_thread(self._begun, format_, data)
            return begun if isinstance(begun, bytes) else await _awaited(begun)
        job = self._catalog.job(format_, data)
        return await (_awaited(job) if job.model.asynchronous else _in_thread(job.answer))

    def _begun(self, format_: Format, data: bytes | memoryview) -> bytes | Job:
        """All that one thread can do for a request, which is everything for a plain model."""
        job = self._catalog.job(format_, data)
        return job if job.model.asynchronous else job.answer()


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    """to_thread for what runs a model: a StopIteration, which no future can hold, would never come out of it."""

    def guarded() -> T:
        try:
            return function(*args)
        except StopIteration as error:
            raise RuntimeError("the model raised StopIteration") from error

    return await asyncio.to_thread(guarded)


async def _awaited(job: Job) -> bytes:
    return await _encoded(job, await job.model.run_async(job.request.inputs, job.request.outputs))


async def _encoded(job: Job, outputs: Outputs) -> bytes:
    if sum(array.nbytes for array in outputs.values()) <= _SMALL:
        return job.encoded(outputs)
    return await asyncio.to_thread(job.encoded, outputs)


async def _read(format_: Format, data: bytes) -> Any:
    return read(format_, data) if len(data) <= _SMALL else await asyncio.to_thread(read, format_, data)


async def _answers(job: Job) -> AsyncGenerator[bytes, None]:
    if not job.model.asynchronous:
        async with aclosing(_threaded(job.answers())) as answers:
            async for answer in answers:
                yield answer
        return
    async with aclosing(job.model.parts_async(job.request.inputs, job.request.outputs)) as parts:
        async for part in parts:
            yield await _encoded(job, part)
    for message in job.format.closing(job):
        yield message


async def _threaded(generator: Any) -> AsyncGenerator[bytes, None]:
    """A generator whose every step is taken in a thread."""
    resting = False
    try:
        while True:
            step = await asyncio.to_thread(next, generator, _END)
            if step is _END:
                return
            resting = True
            yield step
            resting = False
    finally:
        # Who is cancelled in the middle of a step cannot close it; it ends when its thread lets go of it.
        if resting:
            await asyncio.to_thread(generator.close)


async def _abort(context: Context, error: Refused | BadInput) -> NoReturn:
    status, text = verdict(error)
    await context.abort(grpc.StatusCode[status], text)

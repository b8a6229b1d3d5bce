"""The handlers for the synchronous server: each call in a thread of its own, which runs the model too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc

from eas_grpc.serving._calls import report_failure
from eas_grpc.serving._models._answers import Catalog, Format, read
from eas_grpc.serving._models._refusals import REFUSALS, BadInput, Refused, verdict
from eas_grpc.serving._models._uploads import Budget, Upload

__all__ = ["Shell"]

Context = grpc.ServicerContext


class Shell:
    """Makes the methods of a service; bytes come in and go out, so that a bad message gets a status of ours."""

    def __init__(self, catalog: Catalog, budget: Budget) -> None:
        self._catalog = catalog
        self._budget = budget

    def control(self, answer: Callable[[bytes], bytes]) -> Any:
        """A method whose answer needs no model to run."""

        def control(data: bytes, context: Context) -> bytes:
            try:
                return answer(data)
            except Refused as error:
                _abort(context, error)

        return grpc.unary_unary_rpc_method_handler(control)

    def once(self, format_: Format) -> Any:
        """One request, one whole result."""

        def once(data: bytes, context: Context) -> bytes:
            try:
                return self._catalog.job(format_, data).answer()
            except REFUSALS as error:
                _abort(context, error)

        return grpc.unary_unary_rpc_method_handler(once)

    def in_parts(self, format_: Format) -> Any:
        """One request, its result part by part."""

        def in_parts(data: bytes, context: Context) -> Iterator[bytes]:
            try:
                yield from self._catalog.job(format_, data).answers()
            except REFUSALS as error:
                _abort(context, error)

        return grpc.unary_stream_rpc_method_handler(in_parts)

    def one_by_one(self, format_: Format) -> Any:
        """For each request one whole result; the first failure ends the stream."""

        def one_by_one(requests: Iterator[bytes], context: Context) -> Iterator[bytes]:
            try:
                for data in requests:
                    yield self._catalog.job(format_, data).answer()
            except REFUSALS as error:
                _abort(context, error)

        return grpc.stream_stream_rpc_method_handler(one_by_one)

    def whatever_happens(self, format_: Format, method: str) -> Any:
        """For each request its result part by part; a failure is an answer too, and the stream goes on."""

        def whatever_happens(requests: Iterator[bytes], context: Context) -> Iterator[bytes]:
            for data in requests:
                request = None
                try:
                    request = read(format_, data)
                    yield from self._catalog.find(format_, request).answers()
                except REFUSALS as error:
                    yield format_.failed(request, verdict(error)[1])
                except Exception as error:
                    yield format_.failed(request, report_failure(method, context, error)[1])

        return grpc.stream_stream_rpc_method_handler(whatever_happens)

    def uploaded(self, format_: Format) -> Any:
        """A request in pieces, one whole result."""

        def uploaded(chunks: Iterator[bytes], context: Context) -> bytes:
            try:
                with Upload(self._budget) as upload:
                    for chunk in chunks:
                        upload.add(chunk)
                    return self._catalog.job(format_, upload.message()).answer()
            except REFUSALS as error:
                _abort(context, error)

        return grpc.stream_unary_rpc_method_handler(uploaded)


def _abort(context: Context, error: Refused | BadInput) -> NoReturn:
    status, text = verdict(error)
    context.abort(grpc.StatusCode[status], text)

"""Runs of `eas_grpc.load` against the server whose figures are known."""

from __future__ import annotations

from typing import Any

from eas_grpc.calls import CallShape
from eas_grpc.endpoint import Endpoint
from eas_grpc.load import Job, Plan, Requests, Result, run
from eas_grpc.load._result import check
from support.load_server import SERVICE, LoadServer, ask

__all__ = ["SHAPES", "job", "loaded"]

SHAPES = {
    "Unary": CallShape.UNARY_UNARY,
    "Many": CallShape.UNARY_STREAM,
    "Collect": CallShape.STREAM_UNARY,
    "Both": CallShape.STREAM_STREAM,
}


def job(server: LoadServer, method: str = "Unary", *, messages: Any = None, **plan: Any) -> Job:
    """A job for a method of the server."""
    extra = {name: plan.pop(name) for name in ("words", "metadata", "retry", "requests_of") if name in plan}
    requests = extra.pop("requests_of", None) or Requests(messages=messages or (ask(name="a", count=3),))
    return Job(
        endpoint=Endpoint.parse(server.address),
        method=f"/{SERVICE}/{method}",
        shape=SHAPES[method],
        requests=requests,
        plan=Plan(**plan),
        **extra,
    )


def loaded(server: LoadServer, method: str = "Unary", *, token: Any = None, **how: Any) -> Result:
    """The result of a run; it is one that can be saved and read again."""
    result = run(job(server, method, **how), token=token)
    return check(result, "the result")

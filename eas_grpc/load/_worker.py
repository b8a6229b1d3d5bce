"""One process's part of a run, on its own event loop: channels to the service, and the steps one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eas_grpc.auth import Token
from eas_grpc.load._calls import Once, caller
from eas_grpc.load._dial import close, dial, multicallable
from eas_grpc.load._job import Job
from eas_grpc.load._plan import Plan
from eas_grpc.load._record import Record
from eas_grpc.load._requests import Payload, source
from eas_grpc.load._step import ClosedLoop, OpenLoop, Step, Watch

__all__ = ["Worker"]


class Worker:
    """Part `part` of the job's processes. `open`, any number of `run`, `close`; all on one event loop."""

    def __init__(self, job: Job, token: Token | None, part: int = 0) -> None:
        self._job = job
        self._token = token
        self._part = part
        self._channels: list[Any] = []
        self._once: list[Once] = []
        self._payload: Callable[[], Payload] | None = None
        self._step: Step | None = None
        self._stopped = False

    async def open(self) -> None:
        """Connects; raises the CallError of a call that finds no connection."""
        job = self._job
        self._payload = source(
            job.requests,
            job.method,
            streaming=job.shape.many_requests,
            part=self._part,
            parts=job.plan.processes,
        )
        self._channels = await dial(job, self._token)
        self._once = [
            caller(
                job.shape,
                multicallable(channel, job),
                deadline=job.plan.deadline,
                metadata=job.metadata or None,
            )
            for channel in self._channels
        ]

    async def run(self, plan: Plan, at: float, watch: Watch) -> tuple[Record, Record]:
        """This part of one step, which begins at `at`: what was measured, and the same of the warm-up."""
        assert self._payload is not None
        loop = ClosedLoop if plan.rate is None else OpenLoop
        self._step = loop(plan, at, watch, self._once, self._payload, self._part)
        if self._stopped:
            self._step.stop()
        try:
            return await self._step.run()
        finally:
            self._step = None

    def end_step(self) -> None:
        """Starts no more calls in this step; those in flight are waited for."""
        if self._step is not None:
            self._step.stop()

    def stop(self) -> None:
        """The same for all steps."""
        self._stopped = True
        self.end_step()

    def cut(self) -> None:
        """Does not wait for the calls in flight either."""
        self.stop()
        if self._step is not None:
            self._step.cut()

    async def close(self) -> None:
        """Ends the connections."""
        await close(self._channels)

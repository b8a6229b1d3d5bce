"""Many requests on their way at once: what is decided about them, for both colours.

Knows neither a channel nor a clock: the shells start calls, in the order of the inputs and at most `in_flight` at a
time, and hand over each call's answer in the same order. So no more requests and answers are held than that.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from eas_grpc.deadline import Deadline
from eas_grpc.errors import ConfigError
from eas_grpc.inference._errors import cut_short
from eas_grpc.inference._plan import Inputs, Job, Outputs, Planner
from eas_grpc.tensors._messages import Request

__all__ = ["IN_FLIGHT", "Item", "Many", "Progress", "check_items", "check_sent"]

Progress = Callable[[int, "int | None"], object]

IN_FLIGHT = 8

# A call cannot be given no time at all; with this much it ends at once, as the channel ends calls.
_NO_TIME = 0.001


class Item:
    """One of the inputs: the calls that are made for it, and what came back."""

    def __init__(
        self, planner: Planner, job: Job, options: Mapping[str, Any], until: Deadline | None
    ) -> None:
        self.method = job.method
        self.over = False
        self._planner = planner
        self._job = job
        self._options = options
        self._until = until
        self._answers: list[bytes] = []

    def sends(self) -> Iterator[tuple[Item, Callable[[], Any]]]:
        """What is to be sent, as long as nothing has failed."""
        for payload in self._job.payloads:
            if self.over:
                return
            yield self, payload

    def options(self, now: float) -> dict[str, Any]:
        """What a call that starts now is told: the deadline is that of all calls for the item together."""
        options = dict(self._options)
        if "timeout" in options:
            if self._until is None:
                self._until = Deadline.after(options["timeout"], now)
            options["timeout"] = max(self._until.remaining(now) or 0.0, _NO_TIME)
        return options

    def took(self, answer: bytes) -> Outputs | None:
        """The outputs, when this was the last answer. Raises WireError, InferenceError."""
        self._answers.append(answer)
        if self.over or len(self._answers) < len(self._job.payloads):
            return None
        self.over = True
        return self._planner.answer(self._job, self._answers)


class Many:
    """The settings of one `infer_many`. Raises ConfigError.

    `options["timeout"]` is the time of each item; with `one_deadline`, of all of them together.
    """

    def __init__(
        self,
        planner: Planner,
        asked: Request,
        inputs: object,
        options: Mapping[str, Any],
        *,
        in_flight: int = IN_FLIGHT,
        on_progress: Progress | None = None,
        return_errors: bool = False,
        one_deadline: bool = False,
    ) -> None:
        check_items(inputs)
        if type(in_flight) is not int or in_flight < 1:
            raise ConfigError(f"in_flight={in_flight!r} is no number of calls: write 1 or more")
        self.in_flight = in_flight
        self._planner = planner
        self._asked = asked
        self._options = options
        self._one_deadline = one_deadline
        self._until: Deadline | None = None
        self._return_errors = return_errors
        self._on_progress = on_progress
        self._done = 0
        self._total = _length(inputs)

    def begin(self, now: float) -> None:
        """Notes that the first result has been asked for."""
        if self._one_deadline and "timeout" in self._options:
            self._until = Deadline.after(self._options["timeout"], now)

    def item(self, inputs: Inputs) -> Item:
        """One of the inputs, checked; what is wrong with it is raised when it is sent."""
        try:
            job = self._planner.job(self._planner.request(self._asked, inputs))
        except Exception as error:
            job = Job("infer", (_raiser(error),))
        return Item(self._planner, job, self._options, self._until)

    def failed(self, item: Item, error: Exception) -> Exception | None:
        """What takes the place of the outputs: once. Raises the error unless errors are to be returned."""
        if not self._return_errors:
            raise error
        first, item.over = not item.over, True
        return error if first else None

    def progress(self) -> None:
        """Notes that a result is handed over."""
        self._done += 1
        if self._on_progress is not None:
            self._on_progress(self._done, self._total)


def check_items(inputs: object) -> None:
    """Raises ConfigError for what is one request's inputs, and not many of them."""
    if isinstance(inputs, Mapping):
        raise ConfigError(
            "the inputs of many requests must be an iterable of arrays by name: write [inputs] for one"
        )
    if not hasattr(inputs, "__iter__") and not hasattr(inputs, "__aiter__"):
        raise ConfigError(f"the inputs of many requests must be an iterable, not {type(inputs).__name__}")


def check_sent(planner: Planner, answers: int, requests: int, *, all_sent: bool) -> None:
    """Raises InferenceError for a stream that ended well, and too early for all requests to have been answered."""
    if not all_sent:
        raise cut_short(answers, "before all requests were sent", planner.protocol.methods["stream"][1])
    if planner.protocol.one_to_one and answers < requests:
        raise cut_short(answers, f"to {requests} requests", planner.protocol.methods["stream"][1])


def _length(inputs: object) -> int | None:
    try:
        return operator.index(len(inputs))  # type: ignore[arg-type]
    except TypeError:
        return None


def _raiser(error: Exception) -> Callable[[], bytes]:
    def fail() -> bytes:
        raise error

    return fail

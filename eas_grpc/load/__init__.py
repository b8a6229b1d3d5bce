"""Load for a service, measured honestly: what `eas-grpc load` does, for programs.

`run(Job(...))` makes the calls and gives the result, plain data that `eas-grpc load --output json` writes as it is. Calls
of an open loop count from when they were due, so a service that stands still is seen in the latencies and not only in
their number; every status is counted; and the result says when the generator itself was the limit.
"""

from __future__ import annotations

from eas_grpc.load._assemble import failures
from eas_grpc.load._histogram import Histogram
from eas_grpc.load._job import Job
from eas_grpc.load._plan import LOCAL, REMOTE, Caps, Plan, Ramp, check_caps
from eas_grpc.load._requests import Requests
from eas_grpc.load._result import Result
from eas_grpc.load._run import Progress, run

__all__ = [
    "LOCAL",
    "REMOTE",
    "Caps",
    "Histogram",
    "Job",
    "Plan",
    "Progress",
    "Ramp",
    "Requests",
    "Result",
    "check_caps",
    "failures",
    "run",
]

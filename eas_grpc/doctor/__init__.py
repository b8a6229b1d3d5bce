"""Why a call to a service does not work: a chain of steps, each with its evidence, and one verdict.

Use: `report = examine(Question(address="http://demo.1234.cn-hangzhou.pai-eas.aliyuncs.com/", token=token))`; then
`report.verdict` names the cause, `report.sentence` tells it and `report.advice` says what to do.
"""

from __future__ import annotations

from eas_grpc.doctor._catalogue import CATALOGUE, Kind
from eas_grpc.doctor._examine import examine
from eas_grpc.doctor._records import STEPS, Finding, Question, Report, Step

__all__ = ["CATALOGUE", "STEPS", "Finding", "Kind", "Question", "Report", "Step", "examine"]

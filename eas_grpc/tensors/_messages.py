"""A request and a response as plain data, whatever format they travel in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from eas_grpc.tensors._arrays import Array

__all__ = ["Parameter", "Request", "Response"]

Parameter = bool | int | float | str

_NONE: Mapping[str, Parameter] = MappingProxyType({})


class Request(NamedTuple):
    """What a model is asked: its name, and arrays by name.

    `outputs` names those wanted, none means all. `version` is "" for the one that the server prefers. A format
    that has no `id`, `parameters`, `version` or `signature` leaves it out. `typed`: the elements travel as typed
    values, one by one, instead of as they lie in memory, where a format has both.
    """

    model: str
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...] = ()
    version: str = ""
    id: str = ""
    parameters: Mapping[str, Parameter] = _NONE
    signature: str = ""
    typed: bool = False


class Response(NamedTuple):
    """What a model answered: arrays by name. Those of a received response are read-only views."""

    model: str
    outputs: Mapping[str, Array]
    version: str = ""
    id: str = ""
    parameters: Mapping[str, Parameter] = _NONE
    signature: str = ""
    typed: bool = False

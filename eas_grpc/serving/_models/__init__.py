"""A function from arrays to arrays, served on every tensor protocol: its own door, since it loads numpy."""

from __future__ import annotations

from eas_grpc.serving._models._model import Model, model
from eas_grpc.serving._models._models import Models
from eas_grpc.serving._models._refusals import BadInput

__all__ = ["BadInput", "Model", "Models", "model"]

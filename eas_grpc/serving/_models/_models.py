"""Models on a server: the one module that joins the three protocols and the two colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc.errors import ConfigError
from eas_grpc.serving._models import _native, _open_inference, _tf_serving
from eas_grpc.serving._models._answers import Catalog
from eas_grpc.serving._models._model import Model
from eas_grpc.serving._models._shell import Shell
from eas_grpc.serving._models._shell_aio import AsyncShell
from eas_grpc.serving._models._uploads import Budget
from eas_grpc.serving._registry import Registry

__all__ = ["Models"]

_MIB = 1024 * 1024


class Models:
    """Models, ready to be served on every tensor protocol: pass `register` or `register_async` to a server.

    Takes functions, and what `serving.model` makes of them. `max_upload_bytes` bounds one PredictUpload, and four
    times that all of them at once. Raises ConfigError.
    """

    def __init__(self, *models: Callable[..., Any], max_upload_bytes: int = 64 * _MIB) -> None:
        self._models: dict[str, Model[..., Any]] = {}
        for each in models:
            made = each if isinstance(each, Model) else Model(each)
            if made.name in self._models:
                raise ConfigError(f"two models are called {made.name!r}: give one of them another name=")
            self._models[made.name] = made
        if not self._models:
            raise ConfigError("Models() holds no model: serving.Models(predict)")
        self._catalog = Catalog(self._models)
        self._budget = Budget(max_upload_bytes)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the models."""
        return tuple(self._models)

    def register(self, server: Any) -> None:
        """Adds the services to a synchronous server, and what reflection says about them.

        Raises ConfigError when a model is `async def`.
        """
        for each in self._models.values():
            if each.asynchronous:
                raise ConfigError(
                    f"Server cannot serve model {each.name!r}: it is `async def`; write a plain function, or"
                    " use AsyncServer / run_async with register_async"
                )
        self._add(server, Shell(self._catalog, self._budget))

    def register_async(self, server: Any) -> None:
        """Adds the services to an asyncio server: plain models run in threads."""
        self._add(server, AsyncShell(self._catalog, self._budget))

    def _add(self, server: Any, shell: Any) -> None:
        def ready() -> bool:
            # A server of grpc's own has no health to follow.
            return not isinstance(server, Registry) or all(
                map(server.is_serving, ("", _open_inference.SERVICE))
            )

        services = {
            _native.SERVICE: _native.methods(shell, self._catalog),
            _open_inference.SERVICE: _open_inference.methods(shell, self._catalog, ready),
            _tf_serving.PREDICTION_SERVICE: _tf_serving.prediction_methods(shell, self._catalog),
            _tf_serving.MODEL_SERVICE: _tf_serving.model_methods(shell, self._catalog),
        }
        for name, handlers in services.items():
            # Both, as generated code does: a server looks at one or the other.
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
            server.add_registered_method_handlers(name, handlers)
        if isinstance(server, Registry):
            pool = DescriptorPool()
            for file in (*_open_inference.descriptors(), *_tf_serving.descriptors()):
                pool.Add(file)
            server.describe(pool)

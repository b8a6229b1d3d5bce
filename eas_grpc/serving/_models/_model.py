"""A function as a model: what it takes and gives, and running it on named arrays. No protocol, no I/O."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any, Generic, ParamSpec, TypeVar, overload

from eas_grpc.errors import ConfigError
from eas_grpc.serving._models import _results, _signature
from eas_grpc.serving._models._refusals import BadInput
from eas_grpc.tensors import ModelSpec, TensorSpec
from eas_grpc.tensors._arrays import Array
from eas_grpc.tensors._specs import misfit

__all__ = ["DEFAULT_SIGNATURE", "VERSION", "Model", "model"]

P = ParamSpec("P")
R = TypeVar("R")

# There is one version of a model here, and one way to call it. The signature's name is TensorFlow's.
VERSION = "1"
DEFAULT_SIGNATURE = "serving_default"
PLATFORM = "eas-grpc"


class Model(Generic[P, R]):
    """A function that is served; calling it calls the function, with nothing in between.

    What `serving.model` makes; its arguments are explained there.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        signature: str = "",
        inputs: Mapping[str, TensorSpec] | None = None,
        outputs: Mapping[str, TensorSpec] | None = None,
    ) -> None:
        found = _signature.read(function)
        self.name = _checked_name(found.name if name is None else name)
        _check_specs("inputs", inputs)
        _check_specs("outputs", outputs)
        if inputs is not None:
            _check_inputs(self.name, found, inputs)
        elif not found.any_names:
            inputs = found.inputs
        if outputs is None and found.result is not None:
            outputs = {_results.ONLY: found.result}
        self.spec = ModelSpec(
            name=self.name,
            inputs=None if inputs is None else dict(inputs),
            outputs=None if outputs is None else dict(outputs),
            optional=found.optional if inputs is None else found.optional & inputs.keys(),
            versions=(VERSION,),
            platform=PLATFORM,
            signature=signature or DEFAULT_SIGNATURE,
        )
        self.partial = found.partial
        self.asynchronous = found.asynchronous
        # Of a function that takes inputs of any names, those that it names; the spec cannot say that.
        self._named = ModelSpec(name=self.name, inputs=found.inputs, optional=found.optional)
        self._function: Any = function
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function."""
        result: R = self._function(*args, **kwargs)
        return result

    def __repr__(self) -> str:
        """Name, inputs and outputs."""
        return f"<Model {self.name!r}: {_shown(self.spec.inputs)} -> {_shown(self.spec.outputs)}>"

    def run(self, inputs: Mapping[str, Array], wanted: Sequence[str] = ()) -> dict[str, Array]:
        """The outputs for these inputs: the `wanted` ones in that order, all of them when none is named.

        The parts of a generator are joined along the first axis. Raises BadInput for inputs and outputs that the
        model does not have, ConfigError for a result that is not as declared and for an `async def` function,
        and whatever the function raises.
        """
        if self.asynchronous:
            raise ConfigError(f"model {self.name!r} is `async def`: await run_async(inputs)")
        if self.partial:
            return _results.joined(self.spec, list(self.parts(inputs, wanted)))
        self._check(inputs, wanted)
        return self._outputs(self._function(**inputs), wanted)

    def parts(self, inputs: Mapping[str, Array], wanted: Sequence[str] = ()) -> Iterator[dict[str, Array]]:
        """The result part by part as a generator yields it; of another function, the one result."""
        if not self.partial:
            yield self.run(inputs, wanted)
            return
        self._check(inputs, wanted)
        with closing(self._function(**inputs)) as parts:
            for part in parts:
                yield self._outputs(part, wanted)

    async def run_async(self, inputs: Mapping[str, Array], wanted: Sequence[str] = ()) -> dict[str, Array]:
        """What `run` gives, and it awaits a function that is `async def`."""
        if not self.asynchronous:
            return self.run(inputs, wanted)
        if self.partial:
            async with aclosing(self.parts_async(inputs, wanted)) as parts:
                return _results.joined(self.spec, [part async for part in parts])
        self._check(inputs, wanted)
        return self._outputs(await self._function(**inputs), wanted)

    async def parts_async(
        self, inputs: Mapping[str, Array], wanted: Sequence[str] = ()
    ) -> AsyncGenerator[dict[str, Array], None]:
        """What `parts` gives, and it awaits a function that is `async def`."""
        if not self.asynchronous:
            for part in self.parts(inputs, wanted):
                yield part
            return
        if not self.partial:
            yield await self.run_async(inputs, wanted)
            return
        self._check(inputs, wanted)
        async with aclosing(self._function(**inputs)) as parts:
            async for part in parts:
                yield self._outputs(part, wanted)

    def _check(self, inputs: Mapping[str, Array], wanted: Sequence[str]) -> None:
        if self.spec.inputs is None:
            inputs = {name: inputs[name] for name in self._named.inputs or () if name in inputs}
            reason = misfit(self._named, inputs)
        else:
            reason = misfit(self.spec, inputs)
        if reason is not None:
            raise BadInput(reason)
        if wanted and (refusal := _results.unknown_output(self.spec, wanted)):
            raise refusal

    def _outputs(self, result: object, wanted: Sequence[str]) -> dict[str, Array]:
        return _results.chosen(self.spec, _results.named(self.spec, result), wanted)


@overload
def model(function: Callable[P, R], /) -> Model[P, R]: ...


@overload
def model(
    *,
    name: str | None = None,
    signature: str = "",
    inputs: Mapping[str, TensorSpec] | None = None,
    outputs: Mapping[str, TensorSpec] | None = None,
) -> Callable[[Callable[P, R]], Model[P, R]]: ...


def model(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Makes a function a model, for `serving.Models`; it stays callable as before.

    The function gets a read-only numpy array for each input, by parameter name, and gives one array, a mapping
    of arrays by name, or a tuple in the order of `outputs`; as an array counts what tensors.as_array takes. A parameter
    with a default is an optional input, `**inputs` takes inputs of any names, and an annotation such as
    NDArray[np.float32] fixes the dtype. A generator gives parts of the result. It is called from several threads at once,
    or awaited if it is `async def`. To refuse inputs it raises serving.BadInput.

    `name` is the function's own by default, `signature` TensorFlow's word for a way of calling a model. `inputs`
    and `outputs` say exactly what goes in and out, instead of the parameters and annotations. One array is the
    output `output` unless `outputs` names it. Raises ConfigError.
    """
    if function is None:
        return functools.partial(Model, **options)
    return Model(function, **options)


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigError("the model needs a name: @serving.model(name='digits')")
    return name


def _check_specs(argument: str, specs: object) -> None:
    if specs is None:
        return
    if isinstance(specs, Mapping):
        wrong = [
            key
            for key, spec in specs.items()
            if not (isinstance(key, str) and key and isinstance(spec, TensorSpec))
        ]
        if not wrong:
            return
        specs = wrong[0]
    raise ConfigError(
        f"{argument} holds {specs!r}: write {argument}={{'images': TensorSpec('float32', (None, 784))}}"
    )


def _check_inputs(name: str, found: _signature.Signature, inputs: Mapping[str, TensorSpec]) -> None:
    for each in inputs:
        if each not in found.inputs and not found.any_names:
            raise ConfigError(
                f"model {name!r} is given inputs={{{each!r}: ...}}, which its function does not take"
            )
    for each in found.inputs:
        if each not in inputs and each not in found.optional:
            raise ConfigError(f"the function of model {name!r} needs {each!r}, which inputs= does not name")


def _shown(specs: Mapping[str, TensorSpec] | None) -> str:
    return (
        "any names"
        if specs is None
        else ", ".join(f"{name}: {spec}" for name, spec in specs.items()) or "none"
    )

"""Blocking and asyncio offer the same names, parameters and defaults."""

from __future__ import annotations

import inspect

import pytest

import eas_grpc
from eas_grpc import aio, inference, serving
from server_demo import app, greeter

PAIRS = [
    (eas_grpc.connect, aio.connect),
    (eas_grpc.interceptors, aio.interceptors),
    (serving.run, serving.run_async),
    (serving.Server, serving.AsyncServer),
    (serving.Models.register, serving.Models.register_async),
    (app.build, app.build_async),
]
CLIENTS = [
    (inference.InferenceClient, inference.AsyncInferenceClient),
    (inference.TensorClient, inference.AsyncTensorClient),
    (inference.OpenInferenceClient, inference.AsyncOpenInferenceClient),
    (inference.TFServingClient, inference.AsyncTFServingClient),
]
CLASSES = [
    *CLIENTS,
    (serving.Server, serving.AsyncServer),
    (greeter.Greeter, greeter.AsyncGreeter),
]


def parameters(function):
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


def methods(cls):
    return {name: value for name, value in vars(cls).items() if not name.startswith("_")}


def named(pair):
    return pair[1].__name__


@pytest.mark.parametrize("pair", PAIRS, ids=named)
def test_both_colours_take_the_same_parameters_with_the_same_defaults(pair):
    sync, asynchronous = pair
    assert parameters(sync) == parameters(asynchronous)


@pytest.mark.parametrize("pair", CLASSES, ids=named)
def test_both_colours_of_a_class_have_the_same_names_and_parameters(pair):
    sync, asynchronous = map(methods, pair)
    assert sorted(sync) == sorted(asynchronous)
    for name, method in sync.items():
        if callable(method):
            other = asynchronous[name]
            assert [parameter[0] for parameter in parameters(method)] == [
                parameter[0] for parameter in parameters(other)
            ], name


@pytest.mark.parametrize("pair", CLIENTS, ids=named)
def test_both_colours_of_a_client_have_the_same_parameters_with_the_same_defaults(pair):
    sync, asynchronous = map(methods, pair)
    for name, method in sync.items():
        assert parameters(method) == parameters(asynchronous[name]), name
    assert parameters(pair[0]) == parameters(pair[1])


def test_every_class_that_has_an_asyncio_twin_is_compared():
    for module in (inference, serving, greeter):
        for name, value in [(name, getattr(module, name)) for name in dir(module)]:
            twin = f"Async{name}"
            # Not what a module imports: collections.abc has twins of its own.
            if hasattr(module, twin) and value.__module__.startswith(("eas_grpc.", "server_demo.")):
                assert (getattr(module, name), getattr(module, twin)) in CLASSES


def test_the_doors_offer_the_same_names():
    assert set(aio.__all__) == {"connect", "interceptors"} <= set(eas_grpc.__all__)


def test_interceptors_take_what_connect_takes_where_both_can():
    defaults = {name: default for name, _, default in parameters(eas_grpc.connect)}
    for name, _, default in parameters(eas_grpc.interceptors):
        assert defaults[name] == default, name


@pytest.mark.parametrize("function", [eas_grpc.connect, aio.connect, eas_grpc.interceptors, aio.interceptors])
def test_what_is_not_the_endpoint_is_passed_by_name(function):
    for name, kind, _ in parameters(function):
        assert (kind is inspect.Parameter.KEYWORD_ONLY) == (name != "endpoint"), name


def test_every_parameter_of_connect_is_explained():
    for name, _, _ in parameters(eas_grpc.connect):
        assert f"`{name}`" in eas_grpc.connect.__doc__, name

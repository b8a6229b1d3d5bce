"""How a call that the command line describes is made: the schema, the requests, the events, the report."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import grpc

    from eas_grpc.cli._call_files import Saved
    from eas_grpc.cli._call_input import Requests
    from eas_grpc.cli._call_output import Outcome, Printer, Secrets
    from eas_grpc.cli._call_schema import CallSchema
    from eas_grpc.cli._schema_source import Source
    from eas_grpc.cli._target import Target
    from eas_grpc.errors import CallError
    from eas_grpc.schema import Ended, Received
    from eas_grpc.schema._payload import Attachments

__all__ = ["Wish", "make_call", "print_plan", "print_template"]

_NOTICE_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the options say, apart from where to."""

    method: str
    data: tuple[str, ...]
    attachments: Attachments
    save_tensors: Path | None
    save_bytes: tuple[tuple[str, Path], ...]
    as_json: bool
    verbose: bool
    emit_defaults: bool


def _schema(wish: Wish, target: Target, source: Source, channel: grpc.Channel | None) -> CallSchema:
    """The schema of the method; a service that tells its own is asked for no more than that takes."""
    from eas_grpc.cli._call_schema import CallSchema, symbols_of
    from eas_grpc.cli._schema_source import find_schema

    def fetch(symbols: Sequence[str]) -> Any:
        return find_schema(target, source, channel, symbols=symbols)

    return CallSchema(fetch(symbols_of(wish.method)), wish.method, None if source.local else fetch)


def print_template(wish: Wish, target: Target, source: Source) -> None:
    """A request with every field; nothing is called."""
    from eas_grpc.cli._call_output import Printer

    found = _schema(wish, target, source, None)
    Printer().json(found.schema.template(found.method.request))


def _requests(wish: Wish, found: CallSchema, printer: Printer) -> Requests:
    from eas_grpc.cli._call_input import Requests, sources, unread

    given = sources(wish.data, streams=found.method.client_streaming, attached=bool(wish.attachments))
    if not given and not wish.attachments and unread():
        printer.remark("Note: the request is empty; standard input was not read: -d - reads it")
    return Requests(
        found,
        given,
        wish.attachments,
        prompt=printer.prompt,
        complain=lambda text: printer.remark(f"Error: {text}"),
    )


def make_call(wish: Wish, target: Target, source: Source) -> None:
    """Calls, prints what comes, and raises CallError for a status other than OK."""
    from eas_grpc.cli._call_output import Outcome, Printer, record, verbose
    from eas_grpc.errors import CallError, SchemaError

    about, secrets = _about(wish, target, sends=True)
    outcome, printer = Outcome(), Printer()
    problem = ""

    def report() -> None:
        if outcome.status and not outcome.reported:
            outcome.reported = True
            if wish.as_json:
                printer.json(json.dumps(record(about, outcome, secrets), ensure_ascii=False, indent=2))
            elif wish.verbose:
                printer.remark(*verbose(outcome, secrets))

    try:
        with target.channel() as channel:
            try:
                problem = _run(wish, target, source, channel, about, secrets, outcome, printer)
            except KeyboardInterrupt:
                outcome.status, outcome.details = "CANCELLED", "interrupted"
                report()
                raise
            # Before the channel is closed, which may wait for the end of what watches its state.
            report()
    except CallError as error:
        _note_failure(outcome, error)
        raise
    finally:
        report()
    if problem:
        raise SchemaError(problem)


def _run(
    wish: Wish,
    target: Target,
    source: Source,
    channel: grpc.Channel,
    about: dict[str, Any],
    secrets: Secrets,
    outcome: Outcome,
    printer: Printer,
) -> str:
    """Makes the call; what could not be saved. Raises CallError for a status other than OK."""
    import time

    from eas_grpc.cli._call_files import Saved
    from eas_grpc.errors import CallError
    from eas_grpc.schema import Headers, Received, invoke

    opened = time.perf_counter()
    connected = _note_connection(channel, opened, outcome) if wish.as_json or wish.verbose else None
    found = _schema(wish, target, source, channel)
    outcome.schema = time.perf_counter() - opened
    method = found.method
    requests = _requests(wish, found, printer)
    requests.check()
    about |= {"method": method.path[1:], "shape": method.shape, "schema": found.schema.origin}
    timeout = _timeout(target, requests)
    if not _limited(target, method.server_streaming, requests):
        about["deadline"] = None
    printer.typed = requests.typed
    if wish.verbose and not wish.as_json:
        _say_request(about, printer)
    saved = Saved(method, wish.save_tensors, wish.save_bytes, printer.remark)
    events: Any = invoke(channel, method, iter(requests), timeout=timeout, metadata=target.metadata)
    with closing(saved), closing(events):
        for event in events:
            if isinstance(event, Headers):
                outcome.headers = event.metadata
                if wish.verbose and not wish.as_json:
                    printer.remark(*(f"< {name}: {value}" for name, value in secrets.pairs(event.metadata)))
            elif isinstance(event, Received):
                _received(wish, found, saved, event, outcome, printer)
            else:
                _note_end(event, found, requests, outcome)
    if connected is not None and _answered(outcome):
        # Whoever tells of it may come after the answer, on a thread of its own.
        connected.wait(_NOTICE_SECONDS)
    if requests.error is not None:
        raise requests.error
    if outcome.failure is not None:
        if not wish.as_json:
            printer.remark(*(json.dumps(each, ensure_ascii=False) for each in outcome.error_details))
        raise CallError(outcome.failure)
    return saved.problem


def _received(
    wish: Wish, found: CallSchema, saved: Saved, event: Received, outcome: Outcome, printer: Printer
) -> None:
    outcome.times.append(event.at)
    outcome.received += 1
    outcome.bytes_received += len(event.data)
    saved.take(event)
    if wish.as_json:
        text = found.shown(event.message, emit_defaults=wish.emit_defaults, indent=None)
        outcome.messages.append(json.loads(text))
    else:
        printer.json(found.shown(event.message, emit_defaults=wish.emit_defaults))


def _answered(outcome: Outcome) -> bool:
    from eas_grpc.errors import Origin

    return outcome.failure is None or outcome.failure.origin is Origin.SERVER


def _note_end(event: Ended, found: CallSchema, requests: Requests, outcome: Outcome) -> None:
    outcome.status, outcome.details, outcome.total = event.status, event.details, event.at
    outcome.trailers, outcome.failure = event.trailers, event.failure
    outcome.sent, outcome.bytes_sent = requests.sent, requests.size
    if event.failure is not None:
        outcome.error_details = found.details(event.trailers)
        if not outcome.headers:
            outcome.headers = event.failure.initial_metadata


def _note_failure(outcome: Outcome, error: CallError) -> None:
    """Also of a call for the schema, and with the hint that the options give rise to."""
    failure = error.failure
    outcome.failure, outcome.status, outcome.details = failure, failure.status, failure.details
    outcome.trailers = outcome.trailers or failure.trailing_metadata


def _note_connection(channel: grpc.Channel, opened: float, outcome: Outcome) -> threading.Event:
    """Begins to connect, and notes when that is done; the call does not wait for it."""
    import time

    import grpc

    connected = threading.Event()

    def changed(state: grpc.ChannelConnectivity) -> None:
        if state is grpc.ChannelConnectivity.READY and outcome.connect is None:
            outcome.connect = time.perf_counter() - opened
            channel.unsubscribe(changed)
            connected.set()

    channel.subscribe(changed, try_to_connect=True)
    return connected


def _timeout(target: Target, requests: Requests) -> Any:
    """Seconds for the call, None for no limit, or UNSET for what the channel does by itself."""
    from eas_grpc.deadline import UNSET

    if target.timeout_given:
        return target.timeout
    # Whoever feeds the call by hand or from a pipe takes the time it takes.
    return None if requests.open_ended else UNSET


def _about(wish: Wish, target: Target, *, sends: bool) -> tuple[dict[str, Any], Secrets]:
    """What is known before the call, and what of it must not be printed. Where nothing is sent, no command is asked."""
    from eas_grpc.cli._call_output import MASK, Secrets, secret

    resolved = target.resolved()
    texts = [value for name, value in target.metadata if isinstance(value, str) and secret(name)]
    texts += [text.partition(" ")[2] for text in texts]
    secrets = Secrets(*texts, token=_current(resolved.token) if sends else None)
    metadata = secrets.by_name(target.metadata)
    if resolved.token is not None and not target.brings_authorization:
        metadata.setdefault("authorization", [f"Bearer {MASK}"])
    about = {
        "method": wish.method,
        "shape": None,
        "endpoint": str(resolved.endpoint),
        "tls": resolved.endpoint.tls,
        "token": "-H" if target.brings_authorization else resolved.token_origin,
        "schema": None,
        "metadata": metadata,
        "deadline": resolved.connect["deadline"],
    }
    return about, secrets


def _current(token: Any) -> Callable[[], str]:
    """The token's text at any time; empty where it cannot be had."""
    from eas_grpc.auth import token_source
    from eas_grpc.errors import ConfigError

    def current() -> str:
        try:
            return "" if source is None else str(source.current())
        except ConfigError:
            return ""

    try:
        source = token_source(token)
    except ConfigError:
        source = None
    return current


def _say_request(about: dict[str, Any], printer: Printer) -> None:
    kind = "TLS" if about["tls"] else "plaintext"
    printer.remark(f"{about['method']} at {about['endpoint']} ({kind}), schema from {about['schema']}")
    for name, values in about["metadata"].items():
        printer.remark(*(f"> {name}: {value}" for value in values))


def print_plan(wish: Wish, target: Target, source: Source) -> None:
    """What would be sent, and the lines of other tools for it."""
    from eas_grpc.cli._call_dry import lines, planned
    from eas_grpc.cli._call_output import Printer

    about, _ = _about(wish, target, sends=False)
    printer = Printer()
    found = _schema(wish, target, source, None)
    method = found.method
    requests = _requests(wish, found, printer)
    requests.check()
    about |= {"method": method.path[1:], "shape": method.shape, "schema": found.schema.origin}
    if not _limited(target, method.server_streaming, requests):
        about["deadline"] = None
    # What is typed is not known before the call.
    messages = () if requests.typed else requests.messages()
    texts = [found.shown(each, emit_defaults=False, indent=None) for each in messages]
    plan = planned(about, texts, target, source, emit_defaults=wish.emit_defaults)
    if wish.as_json:
        printer.json(json.dumps(plan, ensure_ascii=False, indent=2))
    else:
        printer.json("\n".join(lines(plan, local=source.local)))


def _limited(target: Target, server_streaming: bool, requests: Requests) -> bool:
    """Whether the whole call has a deadline."""
    return target.timeout_given or not (server_streaming or requests.open_ended)

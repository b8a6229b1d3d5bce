"""Changes of services and rpcs, and of the path that they are called by."""

from __future__ import annotations

from interop.schema_changes.change import files, one, proto, rpcs

_M = "message Req {}\nmessage Res {}\n"
_INFER = f"{_M}service Infer {{ rpc Run(Req) returns (Res); rpc Watch(Req) returns (stream Res); }}"
_RENAMED = _INFER.replace("service Infer", "service Inference")
_RUN = "rpc Run(Req) returns (Res);"

SERVICES = (
    rpcs("an rpc is added", _RUN, f"{_RUN} rpc More(Req) returns (Res);"),
    rpcs("an rpc is removed", f"{_RUN} rpc More(Req) returns (Res);", _RUN),
    rpcs("an rpc is renamed", _RUN, "rpc Go(Req) returns (Res);"),
    rpcs("an rpc changes its request", _RUN, "rpc Run(Other) returns (Res);"),
    rpcs("an rpc changes its response", _RUN, "rpc Run(Req) returns (Other);"),
    rpcs("an rpc changes both", _RUN, "rpc Run(Other) returns (Other);"),
    rpcs("a request becomes a stream", _RUN, "rpc Run(stream Req) returns (Res);"),
    rpcs("a response becomes a stream", _RUN, "rpc Run(Req) returns (stream Res);"),
    rpcs("both become streams", _RUN, "rpc Run(stream Req) returns (stream Res);"),
    rpcs("a stream becomes a single request", "rpc Run(stream Req) returns (Res);", _RUN),
    rpcs("a stream becomes a single response", "rpc Run(Req) returns (stream Res);", _RUN),
    rpcs(
        "an idempotency level is added",
        _RUN,
        "rpc Run(Req) returns (Res) { option idempotency_level = NO_SIDE_EFFECTS; }",
    ),
    rpcs(
        "an idempotency level is removed",
        "rpc Run(Req) returns (Res) { option idempotency_level = IDEMPOTENT; }",
        _RUN,
    ),
    rpcs("an rpc is deprecated", _RUN, "rpc Run(Req) returns (Res) { option deprecated = true; }"),
    one("a service is added", _M, _INFER),
    one("a service is removed", _INFER, _M),
    one("a service is renamed", _INFER, _RENAMED),
    one(
        "a service with another stays and one goes",
        f"{_INFER}\nservice Two {{ rpc A(Req) returns (Res); }}",
        _INFER,
    ),
    files(
        "the package of a service is renamed",
        {"DIR/x.proto": proto(_INFER)},
        {"DIR/x.proto": proto(_INFER, package="PKG.next")},
    ),
    files(
        "a service's file and package are renamed",
        {"DIR/x.proto": proto(_INFER), "DIR/z.proto": proto("message Z {}")},
        {"DIR/next/x.proto": proto(_INFER, package="PKG.next"), "DIR/z.proto": proto("message Z {}")},
    ),
    files(
        "a service moves to another file",
        {"DIR/x.proto": proto(_INFER)},
        {"DIR/x.proto": proto(_M), "DIR/y.proto": proto('import "DIR/x.proto";\n' + _INFER.removeprefix(_M))},
    ),
    files(
        "the file of a service is removed",
        {"DIR/x.proto": proto(_INFER), "DIR/z.proto": proto("message Z {}")},
        {"DIR/z.proto": proto("message Z {}")},
    ),
    files(
        "a whole service is moved with its file",
        {"DIR/x.proto": proto(_INFER)},
        {"DIR/y.proto": proto(_INFER)},
    ),
    one(
        "a request's message is renamed",
        f"{_M}service S {{ {_RUN} }}",
        "message Ask {}\nmessage Res {}\nservice S { rpc Run(Ask) returns (Res); }",
    ),
)

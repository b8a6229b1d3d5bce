"""Single schemas for `lint`; each is a change from nothing."""

from __future__ import annotations

from interop.schema_changes.change import Change, proto

_CLEAN = """// Greets.
service GreetService {
  // Greets one.
  rpc Greet(GreetRequest) returns (GreetResponse);
}
message GreetRequest { string name = 1; }
message GreetResponse { string text = 1; }
"""


def _body(name: str, body: str, syntax: str = 'syntax = "proto3"') -> Change:
    return Change(name, {}, {"DIR/x.proto": proto(body, syntax)})


def _service(name: str, old: str = "", new: str = "") -> Change:
    return _body(name, _CLEAN.replace(old, new))


def _file(name: str, path: str, body: str = "message Thing {}", package: str = "PKG") -> Change:
    text = proto(body, package=package) if package else f'syntax = "proto3";\n{body}\n'
    return Change(name, {}, {path: text})


SCHEMAS: tuple[Change, ...] = (
    _service("a clean service"),
    _service("no comment on the service", "// Greets.\n"),
    _service("no comment on the rpc", "  // Greets one.\n"),
    _service("an empty comment on the rpc", "// Greets one.", "//"),
    _service(
        "a comment behind the service",
        "// Greets.\nservice GreetService {",
        "service GreetService { // Greets.",
    ),
    _service("one message for both ways", "(GreetResponse)", "(GreetRequest)"),
    _service(
        "one message for two rpcs",
        "}\nmessage GreetRequest",
        "  // More.\n  rpc More(GreetRequest) returns (GreetResponse);\n}\nmessage GreetRequest",
    ),
    _body(
        "one message for two services",
        f"{_CLEAN}// Again.\nservice AgainService {{\n  // Greets.\n  rpc Greet(GreetRequest) returns (AgainResponse);\n}}\n"
        "message AgainResponse {}",
    ),
    _body(
        "an empty answer twice",
        f'import "google/protobuf/empty.proto";\n{_CLEAN}// Empties.\nservice EmptyService {{\n  // A.\n'
        "  rpc A(ARequest) returns (google.protobuf.Empty);\n  // B.\n"
        "  rpc B(BRequest) returns (google.protobuf.Empty);\n}\nmessage ARequest {}\nmessage BRequest {}",
    ),
    _service("an rpc that is a keyword", "rpc Greet", "rpc None"),
    _service("a service without its suffix", "GreetService", "Greeter"),
    _service("a request of another name", "GreetRequest", "Greeting"),
    _service("an rpc in lower case", "rpc Greet", "rpc greet"),
    _file("a package in its folder", "DIR/x.proto"),
    _file("no package", "DIR/x.proto", "message NowhereAtAll {}", ""),
    _file("a package in another folder", "DIR/other/x.proto"),
    _file("a package above its folder", "DIR/x.proto", package="PKG.v2"),
    _file("no version", "DIR/x.proto", package="PKG.more"),
    _file("a version of a beta", "DIR/v1beta1/x.proto", package="PKG.v1beta1"),
    _file("a version of a patch of an alpha", "DIR/v1p2alpha3/x.proto", package="PKG.v1p2alpha3"),
    _file("a version for a test", "DIR/v1testing/x.proto", package="PKG.v1testing"),
    _file("a version of zero", "DIR/v0/x.proto", package="PKG.v0"),
    _file("a version with a leading zero", "DIR/v01/x.proto", package="PKG.v01"),
    _file("a version of half a beta", "DIR/v1beta/x.proto", package="PKG.v1beta"),
    _file("a version of a patch", "DIR/v1p1/x.proto", package="PKG.v1p1"),
    _file("a version in capitals", "DIR/V1/x.proto", package="PKG.V1"),
    _file("a folder that is a keyword", "DIR/import/v1/x.proto", package="PKG.import.v1"),
    _file("a file that begins with a digit", "DIR/1x.proto"),
    _file("a file with a dash", "DIR/my-file.proto"),
    _body("a message that is a keyword", "message None {}"),
    _body("a message in lower case", "message thing {}"),
    _body("a field that is a keyword", "message Thing { int32 from = 1; }"),
    _body("a field in camel case", "message Thing { int32 someThing = 1; }"),
    _body("fields that differ by an underscore", "message Thing { int32 ab_c = 1; int32 a_bc = 2; }"),
    _body("messages that differ by case", "message Thing {}\nmessage THing {}"),
    _body("a zero that says nothing", "enum Tone { TONE_UNSPECIFIED = 0; TONE_WARM = 1; }"),
    _body("a zero that says something", "enum Tone { TONE_WARM = 0; }"),
    _body("a zero that is unknown", "enum Tone { TONE_UNKNOWN = 0; }"),
    _body("a nested zero that says something", "message Thing { enum Tone { TONE_WARM = 0; } }"),
    _body("a zero without the prefix", "enum Tone { UNSPECIFIED = 0; }"),
    _body("a zero with less than the suffix", "enum Tone { TONE_UNSPECIFIED_YET = 0; }"),
    _body(
        "an alias of zero", "enum Tone { option allow_alias = true; TONE_UNSPECIFIED = 0; TONE_NONE = 0; }"
    ),
    _body(
        "a first value that is not zero", "enum Tone { TONE_WARM = 1; TONE_COLD = 2; }", 'syntax = "proto2"'
    ),
    _body(
        "a zero that comes second", "enum Tone { TONE_WARM = 1; TONE_UNSPECIFIED = 0; }", 'syntax = "proto2"'
    ),
    _body("a required field", "message Thing { required int32 a = 1; }", 'syntax = "proto2"'),
    _body(
        "a required field of an edition",
        "message Thing { int32 a = 1 [features.field_presence = LEGACY_REQUIRED]; }",
        'edition = "2023"',
    ),
    _body("an import that nobody uses", 'import "google/protobuf/empty.proto";\nmessage Thing {}'),
    _body(
        "a public import",
        'import public "google/protobuf/duration.proto";\nmessage Thing { google.protobuf.Duration d = 1; }',
    ),
)

"""Changes of messages, enums, extensions, files and syntax."""

from __future__ import annotations

from interop.schema_changes.change import files, one, proto, values

_PROTO2 = 'syntax = "proto2"'
_2023 = 'edition = "2023"'


def _x(old: str, new: str, *, before: str = 'syntax = "proto3"', after: str = 'syntax = "proto3"'):
    return {"DIR/x.proto": proto(old, before)}, {"DIR/x.proto": proto(new, after)}


_M = "message M { int32 a = 1; string b = 2; bool c = 3; }"
_N = "message N { int32 a = 1; }"

_MN = "message M { extensions 100 to 199; }\nmessage N { extensions 100 to 199; }\n"

TYPES = (
    values("an enum value is added", "E_A = 1;", "E_A = 1; E_B = 2;"),
    values("an enum value is removed", "E_A = 1; E_B = 2;", "E_A = 1;"),
    values("an enum value is removed and its number reserved", "E_A = 1; E_B = 2;", "E_A = 1; reserved 2;"),
    values("an enum value is removed and its name reserved", "E_A = 1; E_B = 2;", 'E_A = 1; reserved "E_B";'),
    values(
        "an enum value is removed and all reserved",
        "E_A = 1; E_B = 2;",
        'E_A = 1; reserved 2; reserved "E_B";',
    ),
    values("an enum value is renamed", "E_A = 1;", "E_B = 1;"),
    values("an enum value gets another number", "E_A = 1;", "E_A = 2;"),
    values("two values swap numbers", "E_A = 1; E_B = 2;", "E_A = 2; E_B = 1;"),
    values("an alias is added", "E_A = 1;", "option allow_alias = true; E_A = 1; E_ALSO = 1;"),
    values("an alias is removed", "option allow_alias = true; E_A = 1; E_ALSO = 1;", "E_A = 1;"),
    values("a reserved enum number is freed", "E_A = 1; reserved 5;", "E_A = 1;"),
    values("a reserved enum range shrinks", "E_A = 1; reserved 5 to 9;", "E_A = 1; reserved 6 to 9;"),
    values("a reserved enum name is freed", 'E_A = 1; reserved "E_B";', "E_A = 1;"),
    one("a message is added", _M, f"{_M}\n{_N}"),
    one("a message is removed", f"{_M}\n{_N}", _M),
    one("a message is renamed", f"{_M}\n{_N}", f"{_M}\nmessage N2 {{ int32 a = 1; }}"),
    one(
        "a used message is renamed",
        "message M { N n = 1; }\nmessage N { int32 a = 1; }",
        "message M { N2 n = 1; }\nmessage N2 { int32 a = 1; }",
    ),
    one(
        "a nested message is removed",
        "message M { message I { int32 a = 1; } int32 b = 1; }",
        "message M { int32 b = 1; }",
    ),
    one(
        "a nested message moves to the top",
        "message M { message I { int32 a = 1; } I b = 1; }",
        "message I { int32 a = 1; }\nmessage M { I b = 1; }",
    ),
    one(
        "a field of a nested message changes",
        "message M { message I { int32 a = 1; } I b = 1; }",
        "message M { message I { string a = 1; } I b = 1; }",
    ),
    one("an enum is removed", f"{_M}\nenum E {{ E_UNSPECIFIED = 0; }}", _M),
    one(
        "an enum is renamed",
        f"{_M}\nenum E {{ E_UNSPECIFIED = 0; }}",
        f"{_M}\nenum F {{ E_UNSPECIFIED = 0; }}",
    ),
    one(
        "a nested enum is removed",
        "message M { enum E { A = 0; } int32 b = 1; }",
        "message M { int32 b = 1; }",
    ),
    one(
        "an extension is removed",
        "message M { extensions 100 to 199; }\nextend M { optional int32 e = 100; }",
        "message M { extensions 100 to 199; }",
        _PROTO2,
    ),
    one(
        "an extension changes its type",
        "message M { extensions 100 to 199; }\nextend M { optional int32 e = 100; }",
        "message M { extensions 100 to 199; }\nextend M { optional string e = 100; }",
        _PROTO2,
    ),
    one(
        "an extension is renamed",
        "message M { extensions 100 to 199; }\nextend M { optional int32 e = 100; }",
        "message M { extensions 100 to 199; }\nextend M { optional int32 f = 100; }",
        _PROTO2,
    ),
    one(
        "an extension gets another number",
        "message M { extensions 100 to 199; }\nextend M { optional int32 e = 100; }",
        "message M { extensions 100 to 199; }\nextend M { optional int32 e = 101; }",
        _PROTO2,
    ),
    one(
        "an extension goes to another message",
        f"{_MN}extend M {{ optional int32 e = 100; }}",
        f"{_MN}extend N {{ optional int32 e = 100; }}",
        _PROTO2,
    ),
    one(
        "two extensions swap numbers",
        f"{_MN}extend M {{ optional int32 e = 100; optional int32 f = 101; }}",
        f"{_MN}extend M {{ optional int32 e = 101; optional int32 f = 100; }}",
        _PROTO2,
    ),
    one(
        "an extension's number is taken by a field",
        f"{_MN}extend M {{ optional int32 e = 100; }}",
        "message M { extensions 101 to 199; optional string s = 100; }\nmessage N { extensions 100 to 199; }",
        _PROTO2,
    ),
    one(
        "a nested extension is removed",
        "message M { extensions 100 to 199; }\nmessage X { extend M { optional int32 e = 100; } }",
        "message M { extensions 100 to 199; }\nmessage X { }",
        _PROTO2,
    ),
    one("a Java option changes", f'option java_package = "a";\n{_M}', f'option java_package = "b";\n{_M}'),
    one("a message is deprecated", _M, _M.replace("int32 a", "option deprecated = true; int32 a")),
    one(
        "an enum closes",
        "enum E { E_UNSPECIFIED = 0; }",
        "enum E { option features.enum_type = CLOSED; E_UNSPECIFIED = 0; }",
        _2023,
    ),
    one(
        "an enum opens",
        "enum E { option features.enum_type = CLOSED; E_UNSPECIFIED = 0; }",
        "enum E { E_UNSPECIFIED = 0; }",
        _2023,
    ),
    one(
        "presence becomes implicit in an edition",
        "message M { int32 a = 1; }",
        "message M { int32 a = 1 [features.field_presence = IMPLICIT]; }",
        _2023,
    ),
    one(
        "presence of a whole file becomes implicit",
        "message M { int32 a = 1; }",
        "option features.field_presence = IMPLICIT;\nmessage M { int32 a = 1; }",
        _2023,
    ),
    one(
        "a field becomes legacy required",
        "message M { int32 a = 1; }",
        "message M { int32 a = 1 [features.field_presence = LEGACY_REQUIRED]; }",
        _2023,
    ),
    one(
        "a message field becomes delimited",
        "message M { N n = 1; }\nmessage N {}",
        "message M { N n = 1 [features.message_encoding = DELIMITED]; }\nmessage N {}",
        _2023,
    ),
    one(
        "maps in a delimited file",
        "message M { map<string, N> n = 1; }\nmessage N {}",
        "option features.message_encoding = DELIMITED;\nmessage M { map<string, N> n = 1; }\nmessage N {}",
        _2023,
    ),
    one(
        "UTF-8 is verified",
        "message M { string s = 1 [features.utf8_validation = NONE]; }",
        "message M { string s = 1; }",
        _2023,
    ),
    one(
        "UTF-8 is no longer verified",
        "message M { string s = 1; }",
        "message M { string s = 1 [features.utf8_validation = NONE]; }",
        _2023,
    ),
    one(
        "JSON becomes best effort",
        "message M { string s = 1; }",
        "message M { option features.json_format = LEGACY_BEST_EFFORT; string s = 1; }",
        _2023,
    ),
    one(
        "an enum's JSON becomes best effort",
        "enum E { E_UNSPECIFIED = 0; }",
        "enum E { option features.json_format = LEGACY_BEST_EFFORT; E_UNSPECIFIED = 0; }",
        _2023,
    ),
    files(
        "proto3 becomes an edition that does the same",
        *_x(
            "message M { int32 a = 1; }",
            "option features.field_presence = IMPLICIT;\nmessage M { int32 a = 1; }",
            after=_2023,
        ),
    ),
    files(
        "proto2 becomes proto3",
        *_x("message M { optional int32 a = 1; }", "message M { int32 a = 1; }", before=_PROTO2),
    ),
    files(
        "proto2 strings become proto3 strings",
        *_x("message M { optional string a = 1; }", "message M { optional string a = 1; }", before=_PROTO2),
    ),
    files(
        "an enum opens with the syntax",
        *_x("enum E { E_UNSPECIFIED = 0; }", "enum E { E_UNSPECIFIED = 0; }", before=_PROTO2),
    ),
    files(
        "a file is added", {"DIR/x.proto": proto(_M)}, {"DIR/x.proto": proto(_M), "DIR/y.proto": proto(_N)}
    ),
    files(
        "a public import is removed",
        {"DIR/x.proto": proto('import public "DIR/y.proto";'), "DIR/y.proto": proto(_N)},
        {"DIR/x.proto": proto(""), "DIR/y.proto": proto(_N)},
    ),
    files(
        "a file is removed", {"DIR/x.proto": proto(_M), "DIR/y.proto": proto(_N)}, {"DIR/x.proto": proto(_M)}
    ),
    files(
        "a file of an enum is removed",
        {"DIR/x.proto": proto(_M), "DIR/y.proto": proto("enum E { E_UNSPECIFIED = 0; }")},
        {"DIR/x.proto": proto(_M)},
    ),
    files("a file is renamed", {"DIR/x.proto": proto(_M)}, {"DIR/y.proto": proto(_M)}),
    files(
        "a message moves to another file",
        {"DIR/x.proto": proto(f"{_M}\n{_N}"), "DIR/y.proto": proto("")},
        {"DIR/x.proto": proto(_M), "DIR/y.proto": proto(_N)},
    ),
    files(
        "a message moves and changes",
        {"DIR/x.proto": proto(f"{_M}\n{_N}"), "DIR/y.proto": proto("")},
        {"DIR/x.proto": proto(_M), "DIR/y.proto": proto("message N { string a = 1; }")},
    ),
    files(
        "the package is renamed", {"DIR/x.proto": proto(_M)}, {"DIR/x.proto": proto(_M, package="PKG.more")}
    ),
    files(
        "the package is renamed and a field changes",
        {"DIR/x.proto": proto(_M)},
        {"DIR/x.proto": proto(_M.replace("int32 a", "string a"), package="PKG.more")},
    ),
    files(
        "the package is renamed and types are used",
        {"DIR/x.proto": proto("message M { N n = 1; }\nmessage N {}")},
        {"DIR/x.proto": proto("message M { N n = 1; }\nmessage N {}", package="PKG.more")},
    ),
    files(
        "one file of two leaves the package",
        {"DIR/x.proto": proto(_M), "DIR/y.proto": proto(_N)},
        {"DIR/x.proto": proto(_M), "DIR/y.proto": proto(_N, package="PKG.more")},
    ),
)

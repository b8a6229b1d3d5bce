"""Changes of fields: type, label, oneof, name, number, reservations."""

from __future__ import annotations

from interop.schema_changes.change import Change, field, field2

_A = "message A { int32 x = 1; }\nmessage B { int32 x = 1; }\n"
_E = "enum E { E_UNSPECIFIED = 0; E_ONE = 1; }\nenum F { F_UNSPECIFIED = 0; F_ONE = 1; F_TWO = 2; }\n"
_ALIASED = "enum G { option allow_alias = true; G_A = 0; G_B = 1; G_C = 1; }"
_E_SAME = "message N1 { enum E { A = 0; B = 1; } }\nmessage N2 { enum E { A = 0; B = 1; C = 2; } }\n"


def _types(*pairs: str) -> tuple[Change, ...]:
    """`old>new` for a singular field."""
    split = [pair.split(">") for pair in pairs]
    return tuple(
        field(f"{old} becomes {new}", f"{old} a = 1;", f"{new} a = 1;", f"{_A}{_E}") for old, new in split
    )


_SCALARS = _types(
    "int32>int64",
    "int64>int32",
    "uint32>uint64",
    "uint64>uint32",
    "int32>uint32",
    "uint32>int32",
    "uint32>int64",
    "int32>uint64",
    "int64>uint64",
    "bool>int32",
    "int32>bool",
    "bool>uint64",
    "int32>sint32",
    "sint32>sint64",
    "sint64>sint32",
    "fixed32>sfixed32",
    "fixed64>sfixed64",
    "fixed32>fixed64",
    "fixed32>int32",
    "float>double",
    "double>float",
    "float>fixed32",
    "double>int64",
    "string>bytes",
    "bytes>string",
    "string>int32",
    "int32>string",
    "E>int32",
    "int32>E",
    "E>int64",
    "int64>E",
    "E>uint32",
    "bool>E",
    "E>F",
    "F>E",
    "N1.E>N2.E",
    "N2.E>N1.E",
    "A>B",
    "A>bytes",
    "bytes>A",
    "A>string",
    "E>string",
)

FIELDS = (
    *(
        change
        if "N1" not in change.name
        else field(change.name, *(f"{t} a = 1;" for t in change.name.split(" becomes ")), _E_SAME)
        for change in _SCALARS
    ),
    field("nothing changes", "int32 a = 1;", "int32 a = 1;"),
    field("a field is added", "int32 a = 1;", "int32 a = 1; string b = 2;"),
    field(
        "a comment and the order change", "int32 a = 1; string b = 2;", "string b = 2; /* one */ int32 a = 1;"
    ),
    field("a field is removed", "int32 a = 1; string b = 2;", "int32 a = 1;"),
    field(
        "a field is removed and its number reserved", "int32 a = 1; string b = 2;", "int32 a = 1; reserved 2;"
    ),
    field(
        "a field is removed and its name reserved", "int32 a = 1; string b = 2;", 'int32 a = 1; reserved "b";'
    ),
    field(
        "a field is removed and all reserved",
        "int32 a = 1; string b = 2;",
        'int32 a = 1; reserved 2; reserved "b";',
    ),
    field(
        "a field is removed and a range reserved",
        "int32 a = 1; string b = 5;",
        "int32 a = 1; reserved 4 to 6;",
    ),
    field("a field is renamed", "int32 a = 1;", "int32 b = 1;"),
    field("a field is renamed and keeps its JSON name", "int32 a = 1;", 'int32 b = 1 [json_name = "a"];'),
    field("a JSON name changes", "int32 a = 1;", 'int32 a = 1 [json_name = "other"];'),
    field("a JSON name is written out", "int32 my_a = 1;", 'int32 my_a = 1 [json_name = "myA"];'),
    field("a field gets another number", "int32 a = 1;", "int32 a = 2;"),
    field("two fields swap numbers", "int32 a = 1; int32 b = 2;", "int32 a = 2; int32 b = 1;"),
    field("two fields of two types swap numbers", "int32 a = 1; string b = 2;", "int32 a = 2; string b = 1;"),
    field("a number is reused", "int32 a = 1; string old = 2;", "int32 a = 1; A fresh = 2;", _A),
    field("a singular number becomes repeated", "int32 a = 1;", "repeated int32 a = 1;"),
    field("a repeated number becomes singular", "repeated int32 a = 1;", "int32 a = 1;"),
    field("a singular string becomes repeated", "string a = 1;", "repeated string a = 1;"),
    field("a repeated string becomes singular", "repeated string a = 1;", "string a = 1;"),
    field("a singular message becomes repeated", "A a = 1;", "repeated A a = 1;", _A),
    field("a repeated message becomes singular", "repeated A a = 1;", "A a = 1;", _A),
    field("presence becomes explicit", "int32 a = 1;", "optional int32 a = 1;"),
    field("presence becomes implicit", "optional int32 a = 1;", "int32 a = 1;"),
    field("a message becomes optional", "A a = 1;", "optional A a = 1;", _A),
    field("packed is switched off", "repeated int32 a = 1;", "repeated int32 a = 1 [packed = false];"),
    field(
        "a map becomes a repeated message",
        "map<string, int32> a = 1;",
        "repeated P a = 1;",
        "message P { string key = 1; int32 value = 2; }",
    ),
    field(
        "a repeated message becomes a map",
        "repeated P a = 1;",
        "map<string, int32> a = 1;",
        "message P { string key = 1; int32 value = 2; }",
    ),
    field("a map becomes a string", "map<string, int32> a = 1;", "string a = 1;"),
    field(
        "a map becomes a singular message",
        "map<string, int32> a = 1;",
        "P a = 1;",
        "message P { string key = 1; int32 value = 2; }",
    ),
    field("a map's value changes its type", "map<string, int32> a = 1;", "map<string, string> a = 1;"),
    field("a map's value becomes wider", "map<string, int32> a = 1;", "map<string, int64> a = 1;"),
    field("a map's key changes its type", "map<string, int32> a = 1;", "map<int32, int32> a = 1;"),
    field("a map's value becomes another message", "map<string, A> a = 1;", "map<string, B> a = 1;", _A),
    field("a map is removed", "map<string, A> a = 1; int32 b = 2;", "int32 b = 2;", _A),
    field("a map is renamed", "map<string, A> a = 1;", "map<string, A> b = 1;", _A),
    field(
        "a field moves into a new oneof",
        "int32 a = 1; int32 b = 2;",
        "oneof which { int32 a = 1; } int32 b = 2;",
    ),
    field(
        "a field moves into an existing oneof",
        "oneof w { int32 a = 1; } int32 b = 2;",
        "oneof w { int32 a = 1; int32 b = 2; }",
    ),
    field(
        "a field moves out of a oneof",
        "oneof w { int32 a = 1; int32 b = 2; }",
        "oneof w { int32 a = 1; } int32 b = 2;",
    ),
    field(
        "a oneof is dissolved",
        "oneof w { int32 a = 1; string b = 2; bytes c = 3; }",
        "int32 a = 1; string b = 2; bytes c = 3;",
    ),
    field(
        "a field is inserted and the rest renumbered",
        "int32 a = 1; int32 b = 2;",
        "int32 n = 1; int32 a = 2; int32 b = 3;",
    ),
    field(
        "a field is renamed and another takes its name",
        "int32 a = 1;",
        "int32 a_old = 1; string a = 2;",
    ),
    field(
        "a field moves between oneofs",
        "oneof w { int32 a = 1; int32 b = 2; } oneof v { int32 c = 3; }",
        "oneof w { int32 a = 1; } oneof v { int32 b = 2; int32 c = 3; }",
    ),
    field(
        "a oneof is renamed", "oneof w { int32 a = 1; int32 b = 2; }", "oneof v { int32 a = 1; int32 b = 2; }"
    ),
    field(
        "a oneof is removed",
        "oneof w { int32 a = 1; } int32 b = 2;",
        'reserved 1; reserved "a"; int32 b = 2;',
    ),
    field("a oneof gets a member", "oneof w { int32 a = 1; }", "oneof w { int32 a = 1; string b = 2; }"),
    field("a oneof loses a member", "oneof w { int32 a = 1; int32 b = 2; }", "oneof w { int32 a = 1; }"),
    field("an optional field moves into a oneof", "optional int32 a = 1;", "oneof w { int32 a = 1; }"),
    field("a reserved number is freed", "int32 a = 1; reserved 5;", "int32 a = 1;"),
    field("a reserved range shrinks", "int32 a = 1; reserved 5 to 9;", "int32 a = 1; reserved 5 to 8;"),
    field(
        "a reserved range is split", "int32 a = 1; reserved 5 to 9;", "int32 a = 1; reserved 5 to 7, 8 to 9;"
    ),
    field("a reserved range grows", "int32 a = 1; reserved 5 to 9;", "int32 a = 1; reserved 4 to 10;"),
    field("a reserved name is freed", 'int32 a = 1; reserved "b";', "int32 a = 1;"),
    field("a reserved number is used again", "int32 a = 1; reserved 5;", "int32 a = 1; int32 b = 5;"),
    field("a field is deprecated", "int32 a = 1;", "int32 a = 1 [deprecated = true];"),
    field2(
        "a required field is added", "optional int32 a = 1;", "optional int32 a = 1; required int32 b = 2;"
    ),
    field2(
        "a required field is removed",
        "optional int32 a = 1; required int32 b = 2;",
        'optional int32 a = 1; reserved 2; reserved "b";',
    ),
    field2("required becomes optional", "required int32 a = 1;", "optional int32 a = 1;"),
    field2("optional becomes required", "optional int32 a = 1;", "required int32 a = 1;"),
    field2("required becomes repeated", "required string a = 1;", "repeated string a = 1;"),
    field2("a default changes", "optional int32 a = 1 [default = 3];", "optional int32 a = 1 [default = 4];"),
    field2("a default is added", "optional int32 a = 1;", "optional int32 a = 1 [default = 4];"),
    field2("a default of zero is added", "optional int32 a = 1;", "optional int32 a = 1 [default = 0];"),
    field2("a default is removed", 'optional string a = 1 [default = "x"];', "optional string a = 1;"),
    field2(
        "a group becomes a message",
        "optional group G = 1 { optional int32 x = 1; }",
        "message G { optional int32 x = 1; } optional G g = 1;",
    ),
    field2("a closed enum becomes an integer", "optional E a = 1;", "optional int32 a = 1;", _E),
    field2("an integer becomes a closed enum", "optional int32 a = 1;", "optional E a = 1;", _E),
    field2("an extension range is removed", "extensions 100 to 199;", "optional int32 a = 1;"),
    field2("an extension range shrinks", "extensions 100 to 199;", "extensions 100 to 150;"),
    field2("an extension range grows", "extensions 100 to 199;", "extensions 100 to 250;"),
    field2(
        "a number of extensions becomes a field's",
        "extensions 100 to 199;",
        "extensions 101 to 199; optional int32 a = 100;",
    ),
    field2("an enum's first value changes", "optional E a = 1;", "optional E a = 1;", _E).with_new(
        "enum E { E_UNSPECIFIED = 0; E_ONE = 1; }", "enum E { E_ONE = 1; E_UNSPECIFIED = 0; }"
    ),
    field2(
        "a default becomes an alias",
        "optional G a = 1 [default = G_B];",
        "optional G a = 1 [default = G_C];",
        _ALIASED,
    ),
    field2(
        "a default of the first value is removed",
        "optional G a = 1 [default = G_A];",
        "optional G a = 1;",
        _ALIASED,
    ),
    field2("a field is renamed in proto2", "optional int32 a = 1;", "optional int32 b = 1;"),
)

"""Where our verdict and buf's part, by name; docs/schemas.md gives the reason for each.

The cases are those of the corpus. A case may be in several differences; one that is in none must agree, and one that is
in some may differ by what they say only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Cases of one difference, and which rules (or groups of rules) only we or only buf report in them."""

    cases: frozenset[str]
    ours: frozenset[str] = frozenset()
    theirs: frozenset[str] = frozenset()


BREAKING: dict[str, Difference] = {
    "A removed rpc or service breaks the wire": Difference(
        cases=frozenset(
            {
                "an rpc is removed",
                "an rpc is renamed",
                "a service is removed",
                "a service is renamed",
                "a service with another stays and one goes",
                "a service's file and package are renamed",
                "the file of a service is removed",
            }
        ),
        ours=frozenset({"RPC_NO_DELETE", "SERVICE_NO_DELETE"}),
    ),
    "A type that loses values breaks the wire": Difference(
        cases=frozenset(
            {
                "int64 becomes int32",
                "uint64 becomes uint32",
                "int32 becomes uint32",
                "uint32 becomes int32",
                "int32 becomes uint64",
                "int64 becomes uint64",
                "int32 becomes bool",
                "sint64 becomes sint32",
                "fixed32 becomes sfixed32",
                "fixed64 becomes sfixed64",
            }
        ),
        ours=frozenset({"field type"}),
    ),
    "A name keeps its number": Difference(
        cases=frozenset(
            {
                "two fields swap numbers",
                "two fields of two types swap numbers",
                "a field is inserted and the rest renumbered",
                "two values swap numbers",
            }
        ),
        ours=frozenset({"FIELD_SAME_NUMBER", "ENUM_VALUE_SAME_NUMBER", "field name", "value name"}),
    ),
    "An enum is a number on the wire": Difference(
        cases=frozenset(
            {
                "E becomes int32",
                "int32 becomes E",
                "E becomes int64",
                "bool becomes E",
                "E becomes F",
                "a closed enum becomes an integer",
            }
        ),
        theirs=frozenset({"field type"}),
    ),
    "A oneof's name does not travel": Difference(
        cases=frozenset({"a oneof is renamed"}), theirs=frozenset({"FIELD_SAME_ONEOF"})
    ),
    "A map's entry is no type of its own": Difference(
        cases=frozenset(
            {
                "a map becomes a repeated message",
                "a map becomes a string",
                "a map becomes a singular message",
                "a map is removed",
                "a map is renamed",
            }
        ),
        theirs=frozenset({"MESSAGE_NO_DELETE", "field type"}),
    ),
    "What follows is not said twice": Difference(
        cases=frozenset(
            {
                "A becomes bytes",
                "bytes becomes A",
                "A becomes string",
                "a number is reused",
                "a field moves into a new oneof",
                "a field moves into an existing oneof",
                "a field moves out of a oneof",
                "a oneof is dissolved",
                "an extension is renamed",
            }
        ),
        theirs=frozenset({"label", "EXTENSION_NO_DELETE"}),
    ),
    "A renamed package is looked into": Difference(
        cases=frozenset({"the package is renamed and a field changes"}), ours=frozenset({"field type"})
    ),
    "An extension keeps its number and its message": Difference(
        cases=frozenset(
            {
                "an extension gets another number",
                "two extensions swap numbers",
                "an extension goes to another message",
            }
        ),
        ours=frozenset({"EXTENSION_SAME_NUMBER", "EXTENSION_SAME_MESSAGE"}),
        theirs=frozenset({"field name"}),
    ),
    "A number for extensions may be in use": Difference(
        cases=frozenset(
            {"a number of extensions becomes a field's", "an extension's number is taken by a field"}
        ),
        ours=frozenset({"EXTENSION_NUMBER_NO_REUSE"}),
    ),
    "What refuses or drops old values breaks the wire": Difference(
        cases=frozenset({"an enum closes", "UTF-8 is verified", "proto2 strings become proto3 strings"}),
        ours=frozenset({"enum type", "utf8"}),
    ),
    "A public import is a part of the file": Difference(
        cases=frozenset({"a public import is removed"}), ours=frozenset({"IMPORT_PUBLIC_NO_DELETE"})
    ),
    "A new syntax is no finding of its own": Difference(
        cases=frozenset(
            {
                "proto3 becomes an edition that does the same",
                "proto2 becomes proto3",
                "proto2 strings become proto3 strings",
                "an enum opens with the syntax",
            }
        ),
        theirs=frozenset({"FILE_SAME_SYNTAX"}),
    ),
    "Options that Python does not read": Difference(
        cases=frozenset(
            {
                "a Java option changes",
                "UTF-8 is no longer verified",
                "UTF-8 is verified",
                "proto2 strings become proto3 strings",
                "JSON becomes best effort",
                "an enum's JSON becomes best effort",
            }
        ),
        theirs=frozenset(
            {
                "FILE_SAME_JAVA_PACKAGE",
                "FIELD_SAME_JAVA_UTF8_VALIDATION",
                "MESSAGE_SAME_JSON_FORMAT",
                "ENUM_SAME_JSON_FORMAT",
            }
        ),
    ),
}

LINT: dict[str, Difference] = {
    "Names that Python cannot write": Difference(
        cases=frozenset(
            {
                "an rpc that is a keyword",
                "a folder that is a keyword",
                "a file that begins with a digit",
                "a message that is a keyword",
                "a field that is a keyword",
            }
        ),
        ours=frozenset(
            {"PYTHON_KEYWORD_RPC", "PYTHON_KEYWORD_TYPE", "PYTHON_KEYWORD_FIELD", "PYTHON_MODULE_NAME"}
        ),
    ),
    "Names that are nearly the same": Difference(
        cases=frozenset({"fields that differ by an underscore", "messages that differ by case"}),
        ours=frozenset({"FIELD_NAME_DISTINCT", "TYPE_NAME_DISTINCT"}),
    ),
    "No rules of style": Difference(
        cases=frozenset(
            {
                "one message for both ways",
                "one message for two rpcs",
                "one message for two services",
                "an empty answer twice",
                "an rpc that is a keyword",
                "a service without its suffix",
                "a request of another name",
                "an rpc in lower case",
                "a version in capitals",
                "a file with a dash",
                "a message in lower case",
                "a field in camel case",
                "a zero without the prefix",
            }
        ),
        theirs=frozenset(
            {
                "RPC_REQUEST_STANDARD_NAME",
                "RPC_RESPONSE_STANDARD_NAME",
                "SERVICE_SUFFIX",
                "RPC_PASCAL_CASE",
                "PACKAGE_LOWER_SNAKE_CASE",
                "FILE_LOWER_SNAKE_CASE",
                "MESSAGE_PASCAL_CASE",
                "FIELD_LOWER_SNAKE_CASE",
                "ENUM_VALUE_PREFIX",
            }
        ),
    ),
    "Imports and aliases": Difference(
        cases=frozenset({"an alias of zero", "an import that nobody uses", "a public import"}),
        theirs=frozenset({"ENUM_NO_ALLOW_ALIAS", "IMPORT_USED", "IMPORT_NO_PUBLIC"}),
    ),
}

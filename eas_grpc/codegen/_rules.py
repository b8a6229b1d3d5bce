"""The rule book of `lint` and `breaking`: each rule's name, how bad a break of it is, and what it asks for.

Where a rule means the same as one of buf's it has buf's name, so that what people know carries over.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from eas_grpc.codegen._diagnostics import Severity
from eas_grpc.errors import ConfigError

__all__ = ["BREAKING", "LINT", "UNKNOWN_IGNORE", "Level", "Rule", "check_names", "closest"]


class Level(str, Enum):
    """What a change breaks, the worst first; each level includes the ones before it."""

    WIRE = "wire"
    JSON = "json"
    SOURCE = "source"

    def includes(self, other: Level) -> bool:
        """Whether somebody who asks for this level wants to hear of a break on the other."""
        order = list(Level)
        return order.index(other) <= order.index(self)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. Of the findings about one element in one `group`, only the worst is reported."""

    name: str
    text: str
    severity: Severity = Severity.ERROR
    level: Level = Level.WIRE
    group: str = ""


UNKNOWN_IGNORE = Rule(
    name="UNKNOWN_IGNORE", text="an ignore comment names rules that exist", severity=Severity.WARNING
)


def _lint(severity: Severity, **rules: str) -> dict[str, Rule]:
    return {name: Rule(name=name, text=text, severity=severity) for name, text in rules.items()}


def _breaking(level: Level, **rules: str) -> dict[str, Rule]:
    """Each text may begin with the rule's group: `group: text`."""
    found = {}
    for name, text in rules.items():
        group, _, rest = text.rpartition(": ")
        found[name] = Rule(name=name, text=rest, level=level, group=group or name)
    return found


LINT: Mapping[str, Rule] = {
    **_lint(
        Severity.ERROR,
        PACKAGE_DEFINED="every file has a package",
        PYTHON_MODULE_NAME="folders and file make a module that Python can import",
        PYTHON_KEYWORD_SERVICE="no service is named like a Python keyword",
        PYTHON_KEYWORD_RPC="no rpc is named like a Python keyword",
        PYTHON_KEYWORD_TYPE="no message and no enum is named like a Python keyword",
        FILE_NAME_DISTINCT="no two paths differ only by case, `-` or `_`",
    ),
    **_lint(
        Severity.WARNING,
        PACKAGE_DIRECTORY_MATCH="a file of package acme.v1 stands in acme/v1",
        ENUM_FIRST_VALUE_ZERO="the first value of an enum is zero",
        ENUM_ZERO_VALUE_SUFFIX="the zero value of an enum ends in _UNSPECIFIED",
        FIELD_NOT_REQUIRED="no field is required",
        PYTHON_KEYWORD_PACKAGE="no part of a package is a Python keyword",
        PYTHON_KEYWORD_FIELD="no field is named like a Python keyword",
        PYTHON_KEYWORD_ENUM_VALUE="no enum value is named like a Python keyword",
        SERVICE_NAME_DISTINCT="no two services of a package differ only by case or `_`",
        RPC_NAME_DISTINCT="no two rpcs of a service differ only by case or `_`",
        TYPE_NAME_DISTINCT="no two types of one scope differ only by case or `_`",
        FIELD_NAME_DISTINCT="no two fields of a message differ only by case or `_`",
        ENUM_VALUE_NAME_DISTINCT="no two values of an enum differ only by `_`",
    ),
    **_lint(
        Severity.HINT,
        PACKAGE_VERSION_SUFFIX="a package ends in a version such as v1",
        RPC_REQUEST_RESPONSE_UNIQUE="every rpc has a request and a response of its own",
        COMMENT_SERVICE="every service has a comment",
        COMMENT_RPC="every rpc has a comment",
    ),
}

BREAKING: Mapping[str, Rule] = {
    **_breaking(
        Level.WIRE,
        FILE_SAME_PACKAGE="the package, and with it every path and type name, stays",
        SERVICE_NO_DELETE="no service is removed or renamed",
        RPC_NO_DELETE="no rpc is removed or renamed",
        RPC_SAME_REQUEST_TYPE="an rpc keeps its request type",
        RPC_SAME_RESPONSE_TYPE="an rpc keeps its response type",
        RPC_SAME_CLIENT_STREAMING="a single request stays single, a stream a stream",
        RPC_SAME_SERVER_STREAMING="a single response stays single, a stream a stream",
        RPC_SAME_IDEMPOTENCY_LEVEL="an rpc keeps its idempotency level",
        FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED="field gone: the number of a removed field is reserved",
        FIELD_WIRE_COMPATIBLE_TYPE="field type: the bytes of a field can still be read",
        FIELD_NO_VALUE_LOSS="field type: a new type holds every value of the old one",
        FIELD_WIRE_COMPATIBLE_CARDINALITY="label: a field that is singular stays singular",
        MESSAGE_SAME_REQUIRED_FIELDS="label: no required field comes or goes",
        FIELD_SAME_NUMBER="field name: the name of a field keeps its number",
        FIELD_SAME_ONEOF="a field moves neither into a oneof nor out of one",
        FIELD_SAME_DEFAULT="a field keeps its default",
        RESERVED_MESSAGE_NO_DELETE="what a message has reserved stays reserved",
        RESERVED_ENUM_NO_DELETE="what an enum has reserved stays reserved",
        ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED="value gone: the number of a removed value is reserved",
        ENUM_VALUE_SAME_NUMBER="value name: the name of a value keeps its number",
        ENUM_NO_CLOSE="enum type: an open enum stays open",
        EXTENSION_SAME_NUMBER="an extension keeps its number",
        EXTENSION_SAME_MESSAGE="an extension extends the same message",
        EXTENSION_NUMBER_NO_REUSE="no field takes a number that was for extensions",
        FIELD_NO_NEW_UTF8_VALIDATION="utf8: a string that was not verified to be UTF-8 is not verified now",
        MESSAGE_SAME_MESSAGE_SET="message_set_wire_format stays",
    ),
    **_breaking(
        Level.JSON,
        FIELD_NO_DELETE_UNLESS_NAME_RESERVED="field gone: the name of a removed field is reserved",
        FIELD_WIRE_JSON_COMPATIBLE_TYPE="field type: the JSON of a field can still be read",
        FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY="label: a map stays a map",
        FIELD_SAME_NAME="field name: a field keeps its name",
        FIELD_SAME_JSON_NAME="field name: a field keeps its JSON name",
        ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED="value gone: the name of a removed value is reserved",
        ENUM_VALUE_SAME_NAME="value name: a value keeps its name",
    ),
    **_breaking(
        Level.SOURCE,
        FILE_NO_DELETE="no file is removed or moved",
        IMPORT_PUBLIC_NO_DELETE="no public import is removed",
        MESSAGE_NO_DELETE="no message leaves its file",
        ENUM_NO_DELETE="no enum leaves its file",
        SERVICE_SAME_FILE="no service leaves its file",
        ONEOF_NO_DELETE="no oneof is removed or renamed",
        FIELD_NO_DELETE="field gone: no field is removed",
        FIELD_SAME_TYPE="field type: a field keeps its type",
        FIELD_SAME_CARDINALITY="label: a field keeps its label and its presence",
        FIELD_SAME_UTF8_VALIDATION="utf8: a string's UTF-8 is verified as before",
        ENUM_VALUE_NO_DELETE="value gone: no value is removed",
        ENUM_SAME_TYPE="enum type: an open enum stays open, a closed one closed",
        EXTENSION_NO_DELETE="no extension is removed",
        EXTENSION_MESSAGE_NO_DELETE="no extension range is removed",
    ),
}


def closest(name: str, known: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing if no rule has a name like that."""
    found = difflib.get_close_matches(name.upper(), known, n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def check_names(names: Iterable[str], rules: Mapping[str, Rule], command: str) -> None:
    """Raise ConfigError for a name that is no rule of this command."""
    for name in names:
        if name not in rules:
            raise ConfigError(f"there is no rule {name} of `{command}`{closest(name, rules)}")

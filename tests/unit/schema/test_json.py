"""Messages to JSON and back, judged by protobuf's own json_format; and what is said when JSON does not fit."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from unit.schema.kinds import SCALARS, kinds, messages

from eas_grpc.errors import ConfigError

EVERY = "kinds.Every"


def every(**fields):
    return kinds().message_class(EVERY)(**fields)


def reference(message, *, defaults: bool = False):
    return json.loads(
        json_format.MessageToJson(
            message, descriptor_pool=kinds().pool, always_print_fields_with_no_presence=defaults
        )
    )


def refused(data, name: str = EVERY) -> str:
    schema = kinds()
    with pytest.raises(ConfigError) as caught:
        schema.parse(schema.message_class(name), data, where="-d")
    text = str(caught.value)
    assert text.startswith("-d: ")
    assert "\n" not in text
    return text.removeprefix("-d: ")


@settings(max_examples=300)
@given(messages())
def test_json_is_what_protobuf_itself_writes(message):
    assert json.loads(kinds().to_json(message)) == reference(message)


@settings(max_examples=100)
@given(messages())
def test_with_defaults_too(message):
    assert json.loads(kinds().to_json(message, emit_defaults=True)) == reference(message, defaults=True)


@settings(max_examples=200)
@given(messages())
def test_what_is_written_is_read_as_the_same_message(message):
    schema = kinds()
    again = schema.parse(type(message), schema.to_json(message), where="here")
    # Not by ==: NaN differs from itself.
    assert json.loads(schema.to_json(again)) == json.loads(schema.to_json(message))


def test_plain_data_is_taken_as_well_as_text():
    schema = kinds()
    kind = schema.message_class(EVERY)
    assert schema.parse(kind, {"oneInt64": "9007199254740993"}, where="x").one_int64 == 2**53 + 1
    assert (
        schema.parse(kind, b'\xef\xbb\xbf{"one_int64": 9007199254740993}', where="x").one_int64 == 2**53 + 1
    )


@pytest.mark.parametrize("field", ["one_float", "many_float", "maybe_float", "selves"])
def test_the_largest_float_is_read_as_it_is_written(field):
    largest = 3.4028234663852886e38
    message = every()
    if field == "many_float":
        message.many_float.append(largest)
    elif field == "maybe_float":
        message.maybe_float.value = largest
    elif field == "selves":
        message.selves["x"].one_float = largest
    else:
        message.one_float = largest
    schema = kinds()
    assert schema.parse(type(message), schema.to_json(message), where="x") == message


def test_minus_nought_keeps_its_sign():
    schema = kinds()
    message = schema.parse(schema.message_class(EVERY), '{"oneDouble": -0, "oneInt32": -0}', where="x")
    assert str(message.one_double) == "-0.0"
    assert message.one_int32 == 0


def test_a_list_of_nulls_may_hold_null():
    schema = kinds()
    assert list(schema.parse(schema.message_class(EVERY), '{"nothings": [null]}', where="x").nothings) == [0]


def test_what_was_given_is_not_changed():
    given = {"any": {"@type": "x/kinds.Every", "selves": {"a": {"any": {"@type": "x/kinds.Nothing"}}}}}
    before = json.dumps(given)
    schema = kinds()
    schema.parse(schema.message_class(EVERY), given, where="x")
    assert json.dumps(given) == before


def test_an_any_of_an_unknown_type_is_shown_as_its_bytes():
    message = every()
    message.any.type_url, message.any.value = "type.googleapis.com/not.Known", b"\x01\x02"
    message.one_string = "still there"
    assert json.loads(kinds().to_json(message)) == {
        "oneString": "still there",
        "any": {"@type": "type.googleapis.com/not.Known", "@value": "AQI="},
    }


def test_an_any_that_is_not_what_it_claims_is_shown_as_its_bytes():
    message = every()
    message.any.type_url, message.any.value = f"type.googleapis.com/{EVERY}", b"\xff\xff"
    assert json.loads(kinds().to_json(message))["any"]["@value"] == "//8="


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("at", {"seconds": 10**15}, {"seconds": "1000000000000000"}),
        ("lasts", {"seconds": 10**15, "nanos": -5}, {"seconds": "1000000000000000", "nanos": -5}),
        ("value", {"number_value": float("nan")}, {"numberValue": "NaN"}),
    ],
)
def test_what_has_no_form_of_its_own_shows_its_fields(field, value, shown):
    message = every()
    for name, each in value.items():
        setattr(getattr(message, field), name, each)
    assert json.loads(kinds().to_json(message))[field] == shown


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("{", "this is not JSON: expecting property name enclosed in double quotes at line 1, column 2"),
        ('{"oneInt32":\n 1,}', "at line 2, column "),
        ("", "this is empty, not JSON: an empty message is {}"),
        (b'{"oneString": "\xff"}', "byte 16 is not UTF-8"),
        ('{"oneInt32": 1, "oneInt32": 2}', "the key 'oneInt32' stands twice"),
        ("[" * 100_000, "too deeply"),
        ("9" * 5000, "this is not JSON"),
        ("[]", "a kinds.Every is an object {...}, not a list"),
        ("null", "not null"),
        ('{"oneInt": 1}', "kinds.Every has no field `oneInt`: do you mean oneInt32 or oneInt64"),
        ('{"self": {"selfs": {}}}', "`self`, a kinds.Every, has no field `selfs`: do you mean self"),
        ('{"selves": {"a b": {"zzzzzz": 1}}}', '`selves["a b"]`, a kinds.Every, has no field `zzzzzz`'),
        ('{"ats": [0]}', "ats"),
        ('{"self": 3}', "`self` is a kinds.Every, written as an object {...}, not a number"),
        ('{"oneInt32": "abc"}', '`oneInt32` is an int32, which "abc" is not'),
        ('{"self": {"oneInt32": 2147483648}}', "`self.oneInt32` is an int32: 2147483648 is out of its range"),
        (
            '{"colours": [0, "COLOUR_REDD"]}',
            '`colours[1]` is kinds.Colour, which has no "COLOUR_REDD": do you mean COLOUR_RED?',
        ),
        ('{"any": {"a": 1}}', '`any` is a google.protobuf.Any: say which message it holds with "@type"'),
        (
            '{"any": {"@type": "type.googleapis.com/no.Such"}}',
            "holds a 'no.Such', which the schema does not know",
        ),
        (
            '{"any": {"@type": "x/kinds.Every", "lefft": ""}}',
            "`any`, a kinds.Every, has no field `lefft`: do you mean left",
        ),
        ('{"left": "a", "right": {}}', "choice"),
        ('{"at": "yesterday"}', '`at` is a google.protobuf.Timestamp, which "yesterday" is not'),
        ('{"oneBytes": "*"}', '`oneBytes` is bytes, written as base64: "*" is none'),
        ('{"oneString": "\\ud800"}', "oneString"),
        ('{"oneDouble": NaN}', "oneDouble"),
        ('{"manyUint32": [1, -1]}', "`manyUint32[1]` is a uint32: -1 is out of its range"),
        ('{"maybeBytes": "AA*A"}', '`maybeBytes` is bytes, written as base64: "AA*A" is none'),
        ('{"one_int32": 1, "oneInt32": 2}', "`oneInt32` is given twice, as `one_int32` too"),
        ('{"manyInt32": [null]}', "`manyInt32[0]` is an int32, which null is not"),
        ('{"self":' * 300 + "{}" + "}" * 300, "objects lie within each other too deeply"),
        ('{"manyUint32": 1}', "`manyUint32` is a list [...], not 1"),
        ({"byInt32": {"x": 0}}, "is of a map<int32, kinds.Colour>: its key, or 0, does not fit"),
        (
            '{"any": {"@type": "x/kinds.Every", "self": {"oneBool": 1}}}',
            "`any.self.oneBool` is a bool, which 1 is not",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(data, said):
    assert said in refused(data)


def test_a_message_without_fields_says_so():
    assert refused('{"a": 1}', "kinds.Nothing") == "kinds.Nothing has no field `a`: it has no fields"


@pytest.mark.parametrize("kind", SCALARS)
def test_a_list_is_no_scalar(kind):
    assert f"one{kind.capitalize()}" in refused({f"one{kind.capitalize()}": [1]})


def test_the_template_is_json_that_the_parser_takes():
    schema = kinds()
    kind = schema.message_class(EVERY)
    made = json.loads(schema.template(kind))
    schema.parse(kind, made, where="template")
    fields = {field.json_name for field in kind.DESCRIPTOR.fields}
    # A message within itself ends there, and of a oneof there is one field.
    assert set(made) == fields - {"self", "right"}
    assert made["selves"] == {}
    assert made["at"] == "1970-01-01T00:00:00Z"
    assert made["oneInt64"] == "0"
    assert made["byBool"] == {"false": "COLOUR_UNSPECIFIED"}

"""Names that people give: services, methods and elements, short or full, right or nearly so."""

from __future__ import annotations

import pytest
from support.reflection_servers import files_of, shop_files

from eas_grpc.errors import SchemaError
from eas_grpc.schema import as_data, from_files

TWO = {
    "a.proto": 'syntax = "proto3"; package a; message M { string m = 1; enum E { E_UNSPECIFIED = 0; } }'
    " service Greeter { rpc Hello(M) returns (M); rpc Bye(M) returns (stream M); }",
    "b.proto": 'syntax = "proto3"; package b; import "a.proto";'
    " service Greeter { rpc Hello(stream a.M) returns (a.M) { option deprecated = true; } }"
    " service Lone { rpc Only(stream a.M) returns (stream a.M) { option idempotency_level = IDEMPOTENT; } }",
}


def two():
    return from_files(files_of(TWO).values(), origin="two")


@pytest.mark.parametrize(
    "text", ["a.Greeter/Bye", "/a.Greeter/Bye", "a.Greeter.Bye", "Greeter/Bye", "Bye", " a.Greeter/Bye "]
)
def test_a_method_is_found_in_every_spelling(text):
    method = two().method(text)
    assert (method.service, method.name, method.path) == ("a.Greeter", "Bye", "/a.Greeter/Bye")


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("a.Greeter/Hello", "unary_unary"),
        ("a.Greeter/Bye", "unary_stream"),
        ("b.Greeter/Hello", "stream_unary"),
        ("Only", "stream_stream"),
    ],
)
def test_the_shape_of_a_method_is_known(text, shape):
    assert two().method(text).shape == shape


def test_what_a_method_promises_is_known():
    assert two().method("b.Greeter/Hello").deprecated
    assert two().method("Only").idempotency == "idempotent"
    assert not two().method("Only").deprecated


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello", "'Hello' may mean a.Greeter/Hello, b.Greeter/Hello: give the full name"),
        ("a.Greeter/Hallo", "two: a.Greeter has no method 'Hallo': do you mean Hello?"),
        ("a.Greeter/Nothing", "two: a.Greeter has no method 'Nothing': it has Hello, Bye"),
        ("a.Greeter", "'a.Greeter' is a service: add one of its methods, Hello, Bye"),
        ("Greeterr/Bye", "two has no method 'Greeterr/Bye': do you mean a.Greeter/Bye"),
        ("xxxxxxxx", "two has no method 'xxxxxxxx'"),
        ("", "two has no method ''"),
        ("/", "two has no method '/'"),
    ],
)
def test_a_method_that_is_not_there_is_answered_with_help(text, said):
    with pytest.raises(SchemaError) as caught:
        two().method(text)
    assert str(caught.value).startswith(said)


def test_what_is_offered_comes_before_what_is_only_imported():
    schema = from_files(files_of(TWO).values(), origin="two", services=["b.Greeter"])
    assert schema.services == ("b.Greeter",)
    assert schema.method("Hello").service == "b.Greeter"
    assert schema.method("a.Greeter/Hello").service == "a.Greeter"


def test_the_methods_of_a_service_come_in_its_order():
    assert [each.name for each in two().methods("a.Greeter")] == ["Hello", "Bye"]
    with pytest.raises(SchemaError, match=r"may mean a\.Greeter, b\.Greeter"):
        two().methods("Greeter")
    with pytest.raises(SchemaError, match=r"no service 'Lonly': do you mean b\.Lone\?"):
        two().methods("Lonly")


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("a.M", "message", "a.M"),
        ("M", "message", "a.M"),
        ("M.m", "field", "a.M.m"),
        ("E", "enum", "a.M.E"),
        ("E_UNSPECIFIED", "value", "a.M.E.E_UNSPECIFIED"),
        ("b.Greeter", "service", "b.Greeter"),
        ("Lone/Only", "method", "b.Lone.Only"),
    ],
)
def test_an_element_is_found_by_full_and_by_short_name(text, kind, name):
    found = two().find(text)
    assert (found.kind, found.name) == (kind, name)


def test_an_element_that_is_not_there_is_answered_with_help():
    with pytest.raises(SchemaError, match=r"two has no 'a\.N': do you mean a\.M"):
        two().find("a.N")


def test_a_package_and_a_file_are_answered_with_what_is_in_them():
    schema = from_files(shop_files().values(), origin="x")
    with pytest.raises(
        SchemaError, match=r"'acme\.common' is a package: name what is in it, acme\.common\.Money, acme"
    ):
        schema.find("acme.common")
    with pytest.raises(
        SchemaError, match=r"is a file: name what is in it, acme\.stock\.Stock, acme\.stock\.Query"
    ):
        schema.find("acme/stock/stock.proto")


def test_elements_as_data_say_what_is_in_them():
    schema = from_files(shop_files().values(), origin="x")
    data = as_data(schema, schema.find("acme.shop.Receipt"))
    assert [(each["name"], each["type"], each["number"]) for each in data["fields"]] == [
        ("price", "acme.common.Money", 1),
        ("at", "google.protobuf.Timestamp", 2),
    ]
    service = as_data(schema, schema.find("acme.shop.Shop"))
    assert [(each["path"], each["server_streaming"]) for each in service["methods"]] == [
        ("/acme.shop.Shop/Buy", False),
        ("/acme.shop.Shop/Watch", True),
    ]
    enum = as_data(schema, schema.find("acme.common.Unit"))
    assert [(each["name"], each["number"]) for each in enum["values"]] == [
        ("UNIT_UNSPECIFIED", 0),
        ("UNIT_PIECE", 1),
    ]


def test_only_what_an_element_needs_is_kept():
    schema = from_files(shop_files().values(), origin="x")
    assert [each.name for each in schema.needed_by(schema.find("acme.stock.Stock"))] == [
        "acme/stock/stock.proto"
    ]
    needed = [each.name for each in schema.needed_by(schema.find("acme.shop.Shop"))]
    assert needed[-1] == "acme/shop/shop.proto"
    assert "acme/common/types.proto" in needed

"""A schema from a running service: versions of reflection, imports, and what may be wrong with either."""

from __future__ import annotations

import itertools
import socket

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from support.h2_answers import Http2
from support.reflection_servers import NOT_FOUND, Reflected, files_answer, pb, reflecting, shop_files

import eas_grpc
from eas_grpc.errors import CallError, SchemaError
from eas_grpc.schema import ReflectionError, descriptor_set, from_descriptor_set, from_reflection
from server_demo import app

TOKEN = "canary-0123456789abcdef"
EVERYTHING = ("acme.shop.Shop", "acme.stock.Stock")


def asked(address: str, symbols=(), timeout: float = 10, token: str = TOKEN, **keywords):
    with eas_grpc.connect(address, token=token) as channel:
        return from_reflection(channel, timeout=timeout, symbols=symbols, address=address, **keywords)


def refused(address: str, **keywords) -> ReflectionError:
    with pytest.raises(ReflectionError) as caught:
        asked(address, **keywords)
    return caught.value


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
@pytest.mark.parametrize("whole", [True, False], ids=["with-imports", "one-by-one"])
def test_either_version_tells_everything(version, whole):
    told = Reflected(shop_files(), versions=(version,), whole=whole)
    with reflecting(told) as address:
        schema = asked(address)
        assert schema.origin == f"reflection {version} of {address}"
    assert schema.services == EVERYTHING
    assert [file.name for file in schema.files if file.name.startswith("acme")] == [
        "acme/common/types.proto",
        "acme/shop/shop.proto",
        "acme/stock/stock.proto",
    ]
    assert set(told.tokens) == {f"Bearer {TOKEN}"}


def test_the_newer_version_is_asked_first():
    told = Reflected(shop_files())
    with reflecting(told) as address:
        assert asked(address).origin.startswith("reflection v1 of")


@pytest.mark.parametrize(
    "symbol",
    ["acme.stock.Stock", "acme.stock.Stock/Count", "/acme.stock.Stock/Count", "acme.stock.Stock.Count"],
)
def test_one_symbol_costs_one_question(symbol):
    told = Reflected(shop_files())
    with reflecting(told) as address:
        schema = asked(address, [symbol])
    assert len(told.questions) == 1, told.questions
    assert schema.method("Count").path == "/acme.stock.Stock/Count"
    assert [file.name for file in schema.files] == ["acme/stock/stock.proto"]


def test_a_symbol_brings_what_its_file_imports():
    told = Reflected(shop_files())
    with reflecting(told) as address:
        schema = asked(address, ["acme.shop.Shop/Buy"])
    assert "file_by_filename acme/common/types.proto" in told.questions
    assert not [each for each in told.questions if "google/protobuf" in each or "stock" in each]
    assert schema.method("Buy").response.DESCRIPTOR.fields_by_name["at"].message_type.full_name == (
        "google.protobuf.Timestamp"
    )


@pytest.mark.parametrize("symbol", ["Shop/Buy", "Buy", "Shop"])
def test_a_short_name_is_found_among_all(symbol):
    with reflecting(Reflected(shop_files())) as address:
        assert asked(address, [symbol]).services == EVERYTHING


def test_an_unknown_symbol_gives_everything_so_that_a_name_can_be_suggested():
    with reflecting(Reflected(shop_files())) as address:
        schema = asked(address, ["acme.shop.Shop/Bye"])
    with pytest.raises(SchemaError, match=r"acme\.shop\.Shop has no method 'Bye': do you mean Buy\?"):
        schema.method("acme.shop.Shop/Bye")


def test_nothing_reaches_the_default_pool():
    with reflecting(Reflected(shop_files())) as address:
        asked(address)
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindFileByName("acme/shop/shop.proto")


def test_the_public_demo_server_is_described_completely():
    with app.build(token=TOKEN) as server:
        schema = asked(server.address)
    assert {"helloworld.GreeterService", "GreeterService", "inference.GRPCInferenceService"} <= set(
        schema.services
    )
    assert schema.undescribed == {}
    again = from_descriptor_set(descriptor_set(schema), origin="saved")
    assert again.services == schema.services


def test_a_plain_channel_of_grpc_will_do():
    with (
        reflecting(Reflected(shop_files(), versions=("v1alpha",))) as address,
        grpc.insecure_channel(address) as channel,
    ):
        assert from_reflection(channel, timeout=10).services == EVERYTHING


def test_a_service_without_reflection_is_told_apart():
    with reflecting(Reflected(versions=())) as address:
        error = refused(address)
    assert error.reason == "off"
    assert "neither v1 nor v1alpha" in str(error)
    assert "--proto" in str(error)


def test_a_wrong_token_is_not_a_missing_reflection():
    with app.build(token="another-0123456789") as server:
        error = refused(server.address)
    assert error.reason == "refused"
    assert error.failure is not None
    assert error.failure.status == "UNAUTHENTICATED"
    assert "the token was refused" in str(error)


@pytest.mark.parametrize("status", ["404", "401", "403", "503"])
def test_a_gateway_that_answers_is_not_taken_for_a_service_without_reflection(status):
    page = [(":status", status), ("content-type", "text/html")]
    with Http2(page) as server, pytest.raises((ReflectionError, CallError)) as caught:
        # The log of this server shows what it read, so it gets no token that a test looks for.
        asked(server.address, token="t")
    error = caught.value
    assert error.failure.http_status == int(status)
    assert "no reflection" not in str(error)
    assert "gateway" in str(error) or status == "503"
    assert getattr(error, "reason", "") == ("refused" if status in {"401", "403"} else "")


def test_a_refusal_within_the_conversation_counts_too():
    def converse(requests, _):
        for _ in requests:
            yield pb.ServerReflectionResponse(
                error_response=pb.ErrorResponse(error_code=7, error_message="admins only")
            )

    with reflecting(Reflected(), converse=converse) as address:
        error = refused(address)
    assert error.reason == "refused"
    assert "PERMISSION_DENIED: admins only" in str(error)


def test_a_closed_port_stays_an_error_of_the_connection():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(CallError) as caught:
            asked(f"127.0.0.1:{port}")
    assert caught.value.failure.status == "UNAVAILABLE"


def test_a_service_that_never_answers_ends_with_the_time():
    def converse(requests, context):
        for _ in requests:
            context.add_callback(done.set)
            done.wait(20)
        yield from ()

    import threading

    done = threading.Event()
    with reflecting(Reflected(), converse=converse) as address, pytest.raises(CallError) as caught:
        asked(address, timeout=0.3)
    assert caught.value.failure.status == "DEADLINE_EXCEEDED"


def test_a_missing_import_is_named_with_who_wants_it():
    files = shop_files()
    del files["acme/common/types.proto"]
    with reflecting(Reflected(files)) as address:
        error = refused(address, symbols=["acme.shop.Shop/Buy"])
    assert error.reason == "incomplete"
    text = str(error)
    assert "'acme/shop/shop.proto' imports 'acme/common/types.proto', which the service does not have" in text
    assert "it needs acme.common." in text
    assert "--descriptor-set" in text


def test_the_other_services_are_of_use_when_one_is_incomplete():
    files = shop_files()
    del files["acme/common/types.proto"]
    with reflecting(Reflected(files)) as address:
        schema = asked(address)
    assert schema.services == ("acme.stock.Stock",)
    assert "acme/common/types.proto" in schema.undescribed["acme.shop.Shop"]
    with pytest.raises(SchemaError, match=r"lists acme\.shop\.Shop, but does not describe it"):
        schema.method("acme.shop.Shop/Buy")


def test_names_are_not_lost_when_nothing_is_complete():
    files = shop_files()
    del files["acme/common/types.proto"], files["acme/stock/stock.proto"]
    with reflecting(Reflected(files)) as address:
        error = refused(address)
    assert error.reason == "incomplete"
    assert error.services == ("acme.shop.Shop",)


def test_a_service_that_is_listed_without_a_file_is_said_to_be():
    told = Reflected(shop_files(), services=[*EVERYTHING, "acme.Ghost"])
    with reflecting(told) as address:
        schema = asked(address)
    assert schema.services == EVERYTHING
    assert schema.undescribed == {"acme.Ghost": "acme.Ghost not found"}


def test_a_file_that_the_service_has_under_another_name_is_found_by_what_it_defines():
    files = shop_files()
    types = files.pop("acme/common/types.proto")
    types.name = "types.proto"
    files["types.proto"] = types
    with reflecting(Reflected(files)) as address:
        schema = asked(address, ["acme.shop.Shop/Buy"])
    assert (
        schema.method("Buy").response.DESCRIPTOR.fields_by_name["price"].message_type.full_name
        == "acme.common.Money"
    )
    assert schema.notes == (
        "'acme/shop/shop.proto' imports 'acme/common/types.proto', which the service has as 'types.proto'",
    )


def test_files_that_name_no_imports_are_made_whole():
    files = shop_files()
    for file in files.values():
        del file.dependency[:]
    with reflecting(Reflected(files)) as address:
        for symbols in ((), ("acme.shop.Shop/Buy",)):
            schema = asked(address, symbols)
            fields = schema.method("Buy").response.DESCRIPTOR.fields_by_name
            assert fields["price"].message_type.full_name == "acme.common.Money"
            assert fields["at"].message_type.full_name == "google.protobuf.Timestamp"


def test_a_file_that_cannot_be_used_does_not_hide_the_others():
    files = shop_files()
    files["acme/stock/stock.proto"].message_type[0].field[0].name = "not a name"
    with reflecting(Reflected(files)) as address:
        schema = asked(address)
        error = refused(address, symbols=["acme.stock.Stock"])
    assert schema.services == ("acme.shop.Shop",)
    assert "'acme/stock/stock.proto' cannot be used" in schema.undescribed["acme.stock.Stock"]
    assert error.reason == "broken"


def test_names_are_not_lost_when_no_file_can_be_used():
    files = {"acme/stock/stock.proto": shop_files()["acme/stock/stock.proto"]}
    files["acme/stock/stock.proto"].message_type[0].field[0].name = "not a name"
    with reflecting(Reflected(files)) as address:
        error = refused(address)
    assert error.services == ("acme.stock.Stock",)
    assert "name .proto files (--proto)" in str(error)


def garbage(answers):
    """Gives these answers in this order, whatever is asked, and then no more."""
    left = iter(answers)

    def converse(requests, _):
        for _, answer in zip(requests, left, strict=False):
            yield answer

    return converse


LISTED = pb.ServerReflectionResponse(
    list_services_response=pb.ListServiceResponse(service=[pb.ServiceResponse(name="acme.shop.Shop")])
)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([b"\xff\xff\xff"], "something that is no answer of reflection"),
        ([b""], "answers list_services with nothing"),
        ([files_answer([])], "answers list_services with file_descriptor_response"),
        ([LISTED, LISTED], "answers file_containing_symbol with list_services_response"),
        ([LISTED, files_answer([])], "without any file"),
        ([LISTED, files_answer([b"\xff\xff"])], "is no file descriptor"),
        ([LISTED, files_answer([b""])], "is no file descriptor"),
        ([LISTED], "ends the conversation without an answer"),
        (
            [
                LISTED,
                files_answer(
                    [FileDescriptorProto(name="a.proto"), FileDescriptorProto(name="a.proto", package="x")]
                ),
            ],
            "two different files called 'a.proto'",
        ),
        (
            [
                LISTED,
                files_answer(
                    [
                        FileDescriptorProto(name="a", dependency=["b"]),
                        FileDescriptorProto(name="b", dependency=["a"]),
                    ]
                ),
            ],
            "in a circle: a -> b -> a",
        ),
    ],
)
def test_nonsense_is_broken_and_not_a_traceback(answers, said):
    with reflecting(Reflected(), converse=garbage(answers)) as address:
        error = refused(address)
    assert error.reason == "broken"
    assert said in str(error)


def test_a_service_that_refuses_to_list_is_quoted():
    answer = pb.ServerReflectionResponse(
        error_response=pb.ErrorResponse(error_code=NOT_FOUND, error_message="no\nlist \x1b[31m")
    )
    with reflecting(Reflected(), converse=garbage([answer])) as address:
        error = refused(address)
    assert "does not list what it offers: no list \\x1b[31m" in str(error)


def test_a_schema_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr("eas_grpc.schema._gather.MAX_FILES", 20)

    questions = itertools.count()

    def converse(requests, _):
        for _, count in zip(requests, questions, strict=False):
            yield (
                LISTED
                if count == 0
                else files_answer(
                    [FileDescriptorProto(name=f"{count}.proto", dependency=[f"{count + 1}.proto"])]
                )
            )

    with reflecting(Reflected(), converse=converse) as address:
        error = refused(address)
    assert error.reason == "broken"
    assert "more than 20 files" in str(error)

"""A service with a field of each kind that a file or an array may go into, for the tests of `eas-grpc call`."""

from __future__ import annotations

from functools import cache

from eas_grpc.schema import Schema, from_files
from support.schemas import descriptors

NAME = "acme/call/v1/call.proto"
TEXT = """
syntax = "proto3";
package acme.call.v1;

import "google/protobuf/any.proto";
import "google/protobuf/wrappers.proto";

enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; }

message Part {
  bytes data = 1;
  string label = 2;
}

message Fields {
  bytes image = 1;
  string caption = 2;
  int32 count = 3;
  Part part = 4;
  repeated Part parts = 5;
  repeated bytes chunks = 6;
  repeated string words = 7;
  map<string, bytes> files = 8;
  map<int32, Part> numbered = 9;
  map<bool, string> flags = 10;
  google.protobuf.BytesValue maybe = 11;
  repeated google.protobuf.StringValue titles = 12;
  repeated float floats = 13;
  repeated double doubles = 14;
  repeated int32 small = 15;
  repeated uint64 large = 16;
  repeated bool switches = 17;
  repeated Colour colours = 18;
  oneof either { bytes left = 19; string right = 20; }
  optional string note = 21;
  google.protobuf.Any anything = 22;
  string model = 23;
  bytes camelCase = 24;
}

message Nothing {}

service Store {
  rpc Put(Fields) returns (Fields);
  rpc Get(Fields) returns (stream Fields);
  rpc PutMany(stream Fields) returns (Fields);
  rpc Swap(stream Fields) returns (stream Fields);
  rpc Rest(Nothing) returns (Nothing);
}
"""


OTHER_NAME = "acme/other/v1/other.proto"
OTHER_TEXT = """
syntax = "proto3";
package acme.other.v1;

// No file of the service knows it, so that it can only occur in an Any.
message Extra { string what = 1; }
"""


@cache
def files():
    """The descriptor files."""
    return descriptors({NAME: TEXT})


@cache
def all_files():
    """The same with a file that no other one imports."""
    return descriptors({NAME: TEXT, OTHER_NAME: OTHER_TEXT})


@cache
def schema() -> Schema:
    """The schema, in a pool of its own."""
    return from_files(files().file, origin="call.proto")

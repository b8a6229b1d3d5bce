#!/bin/sh
# Writes the Go code of the three greeters below OUT (default: this folder); go.mod pins the generators.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
out=${1:-$here}
python=${EAS_GRPC_PROTOC_PYTHON:-$root/.venv-codegen/bin/python}
tools=$root/tests/interop/.build/generators
module=eas-grpc.test/interop

mkdir -p "$tools"
go build -C "$here" -buildvcs=false -o "$tools/" \
	google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc

generate() { # FOLDER PROTO GO_PACKAGE
	"$python" -m grpc_tools.protoc -I "$1" \
		--plugin=protoc-gen-go="$tools/protoc-gen-go" --plugin=protoc-gen-go-grpc="$tools/protoc-gen-go-grpc" \
		--go_out="$out" --go_opt="module=$module,M$2=$module/pb/$3" \
		--go-grpc_out="$out" --go-grpc_opt="module=$module,M$2=$module/pb/$3" "$2"
}

generate "$root/tests/interop/protos" no_package/helloworld.proto nopackage
generate "$root/tests/interop/protos" packaged/helloworld.proto packaged
generate "$root/protos" eas_grpc_pb/greeter/v1/greeter.proto greeter

#!/bin/sh
# Writes the Go code of the greeters and of the kinds below OUT (default: this folder); go.mod pins the generators.
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

generate() { # FOLDER GO_PACKAGE PROTO...
	folder=$1 package=$module/pb/$2
	shift 2
	maps=
	for proto; do
		maps="$maps,M$proto=$package"
	done
	"$python" -m grpc_tools.protoc -I "$folder" \
		--plugin=protoc-gen-go="$tools/protoc-gen-go" --plugin=protoc-gen-go-grpc="$tools/protoc-gen-go-grpc" \
		--go_out="$out" --go_opt="module=$module$maps" \
		--go-grpc_out="$out" --go-grpc_opt="module=$module$maps" "$@"
}

generate "$root/tests/interop/protos" nopackage no_package/helloworld.proto
generate "$root/tests/interop/protos" packaged packaged/helloworld.proto
generate "$root/protos" greeter eas_grpc_pb/greeter/v1/greeter.proto
generate "$root/tests/interop/protos" kinds kinds/v1/kinds.proto kinds/v1/well_known.proto
generate "$root/tests/interop/protos" older kinds/older/v1/older.proto
generate "$root/tests/interop/protos" newer kinds/newer/v1/newer.proto

// The greeters from their .proto files, as grpc-js wants them.
'use strict';

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const interop = path.join(__dirname, '..');

function load(root, file) {
  return grpc.loadPackageDefinition(
    protoLoader.loadSync(file, { includeDirs: [root], enums: String, defaults: true, keepCase: true }),
  );
}

const own = load(path.join(interop, '../../protos'), 'eas_grpc_pb/greeter/v1/greeter.proto');

module.exports = {
  noPackage: load(path.join(interop, 'protos/no_package'), 'helloworld.proto').GreeterService,
  packaged: load(path.join(interop, 'protos/packaged'), 'helloworld.proto').helloworld.GreeterService,
  greeter: own.eas_grpc_pb.greeter.v1.GreeterService,
};

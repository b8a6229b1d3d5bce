// node kinds.js SCHEMA [joined] serves the services of the descriptor set SCHEMA, of protos/kinds, with reflection, on a
// free port of 127.0.0.1, until SIGTERM. `joined`: reflection shows the files as proto-loader makes them, one for each
// package and without a word about what they import.
'use strict';

const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const { ReflectionService } = require('@grpc/reflection');
const { FileDescriptorProto, FileDescriptorSet } = require('protobufjs/ext/descriptor');

const [path, joined] = process.argv.slice(2);
const schema = FileDescriptorSet.decode(fs.readFileSync(path));
const definition = protoLoader.loadFileDescriptorSetFromObject(schema, { longs: String, enums: Number });
// As the compiler made them.
const files = { fileDescriptorProtos: schema.file.map((file) => FileDescriptorProto.encode(file).finish()) };
const { kinds } = grpc.loadPackageDefinition(definition);
const Status = definition['google.rpc.Status'];

// Sends the headers and gives the trailers, which say what the caller asked them to.
function begin(call) {
  const headers = new grpc.Metadata();
  headers.set('x-kinds-language', 'js');
  headers.set('x-kinds-begin-bin', Buffer.from([0, 255]));
  call.sendMetadata(headers);
  const trailers = new grpc.Metadata();
  trailers.set('x-kinds-end-bin', Buffer.from([254, 0, 255]));
  call.metadata.get('x-kinds-say').forEach((value) => trailers.add('x-kinds-said', value));
  call.metadata.get('x-kinds-say-bin').forEach((value) => trailers.add('x-kinds-said-bin', value));
  return trailers;
}

// The error that the caller wants, or null.
function failure(wanted, metadata) {
  if (!wanted) return null;
  metadata.set('grpc-status-details-bin', Status.serialize(wanted));
  return { code: wanted.code, details: wanted.message, metadata };
}

function echo(call, done) {
  const trailers = begin(call);
  const failed = failure(call.request.failure, trailers);
  if (failed) done(failed);
  else done(null, call.request, trailers);
}

function repeat(call) {
  const trailers = begin(call);
  for (let sent = 0; sent < call.request.times; sent += 1) {
    call.write({ everything: call.request.everything });
  }
  const failed = failure(call.request.failure, trailers);
  if (failed) call.emit('error', failed);
  else call.end(trailers);
}

function collect(call, done) {
  const trailers = begin(call);
  const everything = [];
  let wanted = null;
  call.on('data', (request) => {
    if (request.everything) everything.push(request.everything);
    wanted = request.failure || wanted;
  });
  call.on('end', () => {
    const failed = failure(wanted, trailers);
    if (failed) done(failed);
    else done(null, { everything }, trailers);
  });
}

function chat(call) {
  const trailers = begin(call);
  call.on('data', (request) => {
    const failed = failure(request.failure, trailers);
    if (failed) call.emit('error', failed);
    else call.write(request);
  });
  call.on('end', () => call.end(trailers));
}

// The methods of a service on messages that are not decoded: protobufjs cannot read groups that protoc describes.
function asBytes(methods) {
  const same = (bytes) => bytes;
  const codec = { requestDeserialize: same, responseSerialize: same };
  return Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, { ...method, ...codec }]));
}

const server = new grpc.Server();
server.addService(kinds.v1.KindsService.service, { Echo: echo, Repeat: repeat, Collect: collect, Chat: chat });
server.addService(asBytes(kinds.older.v1.OlderService.service), { EchoOlder: echo, ChatOlder: chat });
server.addService(asBytes(kinds.newer.v1.NewerService.service), { EchoNewer: echo, ChatNewer: chat });
new ReflectionService(joined ? definition : { files }).addToServer(server);
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`ready on 127.0.0.1:${port}`);
});
process.on('SIGTERM', () => {
  server.forceShutdown();
  process.exit(0);
});

// node client.js ADDRESS TOKEN makes every call that the greeter has and prints one JSON object: path -> outcome.
'use strict';

const grpc = require('@grpc/grpc-js');
const health = require('grpc-health-check');
const { greeter, noPackage, packaged } = require('./greeter');

const [address, token] = process.argv.slice(2);
const credentials = grpc.credentials.createInsecure();

const metadata = new grpc.Metadata();
metadata.set('authorization', `Bearer ${token}`);

function within(milliseconds) {
  return { deadline: Date.now() + milliseconds };
}

const text = (reply) => reply.message ?? reply.status;
const failed = ({ code, details }) => ({ code, details, messages: [] });
const good = (messages) => ({ code: 0, details: '', messages });

// `begin` starts the call with the callback that it is given.
function one(begin) {
  return new Promise((resolve) => {
    begin((error, reply) => resolve(error ? failed(error) : good([text(reply)])));
  });
}

function many(call) {
  return new Promise((resolve) => {
    const messages = [];
    call.on('data', (reply) => messages.push(text(reply)));
    call.on('error', (error) => resolve(failed(error)));
    call.on('end', () => resolve(good(messages)));
  });
}

function send(call, ...names) {
  names.forEach((name) => call.write({ name }));
  call.end();
  return call;
}

async function main() {
  const client = new greeter(address, credentials);
  const Health = grpc.makeGenericClientConstructor(health.service, 'grpc.health.v1.Health');
  const World = { name: 'World' };
  const limits = within(10_000);
  const calls = {
    'too late': many(
      client.SayHelloManyTimes({ ...World, count: 1, interval_ms: 60_000 }, metadata, within(200)),
    ),
    'too many': many(client.SayHelloManyTimes({ count: 1001 }, metadata, limits)),
    '/GreeterService/SayHello': one((done) =>
      new noPackage(address, credentials).SayHello(World, metadata, limits, done),
    ),
    '/helloworld.GreeterService/SayHello': one((done) =>
      new packaged(address, credentials).SayHello(World, metadata, limits, done),
    ),
    '/eas_grpc_pb.greeter.v1.GreeterService/SayHello': one((done) =>
      client.SayHello(World, metadata, limits, done),
    ),
    '/eas_grpc_pb.greeter.v1.GreeterService/SayHelloManyTimes': many(
      client.SayHelloManyTimes({ ...World, count: 3 }, metadata, limits),
    ),
    '/eas_grpc_pb.greeter.v1.GreeterService/SayHelloToAll': one((done) =>
      send(client.SayHelloToAll(metadata, limits, done), 'World', 'Moon'),
    ),
    '/eas_grpc_pb.greeter.v1.GreeterService/Chat': many(
      send(client.Chat(metadata, limits), 'World', 'Moon'),
    ),
    '/grpc.health.v1.Health/Check': one((done) =>
      new Health(address, credentials).check({ service: '' }, metadata, limits, done),
    ),
  };
  const report = {};
  for (const [name, outcome] of Object.entries(calls)) report[name] = await outcome;
  console.log(JSON.stringify(report));
}

main();

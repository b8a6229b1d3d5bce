// node probe.js ADDRESS TOKEN [OPTIONS] calls the greeter over one channel, which has these options (JSON): each line
// on stdin is a call in JSON, which begins at once, and each line on stdout says how one ended and what was seen of
// it. Ends with its stdin.
'use strict';

const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const { greeter } = require('./greeter');

const [address, token, options] = process.argv.slice(2);
const client = new greeter(address, grpc.credentials.createInsecure(), JSON.parse(options ?? '{}'));

const metadata = new grpc.Metadata();
metadata.set('authorization', `Bearer ${token}`);

function begin({ method, names, count, interval_ms, timeout }, reply) {
  const limits = { deadline: Date.now() + timeout * 1000 };
  switch (method) {
    case 'SayHello':
      return client.SayHello({ name: names[0] }, metadata, limits, reply);
    case 'SayHelloManyTimes':
      return client.SayHelloManyTimes({ name: names[0], count, interval_ms }, metadata, limits);
    case 'SayHelloToAll':
      return client.SayHelloToAll(metadata, limits, reply);
    default:
      return client.Chat(metadata, limits);
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  const began = performance.now();
  const messages = [];
  let headers = {};
  const call = begin(order, (_, reply) => reply && messages.push(reply.message));
  call.on('metadata', (values) => (headers = values.toJSON()));
  call.on('data', (reply) => messages.push(reply.message));
  call.on('error', () => {}); // the status says the same
  call.on('status', ({ code, details, metadata: values }) => {
    const seconds = (performance.now() - began) / 1000;
    const seen = { id: order.id, code, details, headers, trailers: values.toJSON(), seconds };
    // Messages that came just before it are told after it.
    setImmediate(() => console.log(JSON.stringify({ ...seen, messages })));
  });
  if (call.write) {
    order.names.forEach((name) => call.write({ name }));
    call.end();
  }
}).on('close', () => process.exit());

// node server.js TOKEN is the greeter on a free port of 127.0.0.1, until SIGTERM. Trailers tell what it saw of a
// call: every authorization entry, and how many milliseconds the deadline left.
'use strict';

const grpc = require('@grpc/grpc-js');
const { HealthImplementation } = require('grpc-health-check');
const { greeter } = require('./greeter');

const [token] = process.argv.slice(2);

// What was seen of the call, as trailers; throws when it may not go on.
function admit(call) {
  const seen = new grpc.Metadata();
  const given = call.metadata.get('authorization');
  given.forEach((value) => seen.add('x-authorization', value));
  const left = Number(call.getDeadline()) - Date.now();
  seen.set('x-timeout-ms', Number.isFinite(left) ? String(left) : 'none');
  seen.set('x-raw-bin', Buffer.from([0, 255]));
  if (given.join() !== `Bearer ${token}`) {
    throw { code: grpc.status.UNAUTHENTICATED, details: 'token refused', metadata: seen };
  }
  return seen;
}

let counted = 0; // calls with that name

// Refuses the name "fail", and until the caller has tried three times "flaky", by what the caller says, and "counted", by
// what came.
function greet(call, metadata, ...names) {
  if (names.includes('fail')) {
    throw { code: grpc.status.FAILED_PRECONDITION, details: 'größer als 100 % of it', metadata };
  }
  if (names.includes('flaky') && call.metadata.get('grpc-previous-rpc-attempts').join() !== '2') {
    throw { code: grpc.status.UNAVAILABLE, details: 'try again', metadata };
  }
  if (names.includes('counted') && ++counted % 3 !== 0) {
    throw { code: grpc.status.UNAVAILABLE, details: 'try again', metadata };
  }
  return { message: `Hello, ${names.join(' and ')}!` };
}

// Runs `work` and hands what it throws to `fail`.
function attempt(work, fail) {
  try {
    work();
  } catch (error) {
    fail(error);
  }
}

const handlers = {
  SayHello(call, done) {
    attempt(() => {
      const seen = admit(call);
      const reply = greet(call, seen, call.request.name);
      const first = new grpc.Metadata();
      first.set('x-language', 'js');
      call.sendMetadata(first);
      done(null, reply, seen);
    }, done);
  },

  SayHelloManyTimes(call) {
    attempt(
      () => {
        const seen = admit(call);
        for (let sent = 0; sent < call.request.count; sent += 1) {
          call.write(greet(call, seen, call.request.name));
        }
        call.end(seen);
      },
      (error) => call.emit('error', error),
    );
  },

  SayHelloToAll(call, done) {
    attempt(() => {
      const seen = admit(call);
      const names = [];
      call.on('data', (request) => names.push(request.name));
      call.on('end', () => attempt(() => done(null, greet(call, seen, ...names), seen), done));
    }, done);
  },

  Chat(call) {
    attempt(
      () => {
        const seen = admit(call);
        call.on('data', (request) =>
          attempt(
            () => call.write(greet(call, seen, request.name)),
            (error) => call.emit('error', error),
          ),
        );
        call.on('end', () => call.end(seen));
      },
      (error) => call.emit('error', error),
    );
  },
};

const server = new grpc.Server();
server.addService(greeter.service, handlers);
new HealthImplementation({ '': 'SERVING' }).addToServer(server);
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`ready on 127.0.0.1:${port}`);
});
process.on('SIGTERM', () => {
  server.forceShutdown();
  process.exit(0);
});

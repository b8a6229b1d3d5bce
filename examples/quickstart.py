from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest
from eas_grpc_pb.greeter.v1.greeter_pb2_grpc import GreeterServiceStub

import eas_grpc

# Your service's address, as the console shows it, and its token; here those of `eas-grpc serve`.
with eas_grpc.connect("http://127.0.0.1:50080/", token="demo-token") as channel:
    stub = GreeterServiceStub(channel)
    print(stub.SayHello(HelloRequest(name="World")).message)

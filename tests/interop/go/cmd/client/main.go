// client ADDRESS TOKEN makes every call that the greeter has and prints one JSON object: path -> outcome.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"os"
	"time"

	"eas-grpc.test/interop/pb/greeter"
	"eas-grpc.test/interop/pb/nopackage"
	"eas-grpc.test/interop/pb/packaged"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type outcome struct {
	Code     uint32   `json:"code"`
	Details  string   `json:"details"`
	Messages []string `json:"messages"`
}

type hello interface{ GetMessage() string }

func one[T hello](reply T, err error) outcome {
	if err != nil {
		return failed(err)
	}
	return outcome{Messages: []string{reply.GetMessage()}}
}

func many(stream grpc.ServerStreamingClient[greeter.HelloResponse], err error) outcome {
	if err != nil {
		return failed(err)
	}
	var messages []string
	for {
		reply, err := stream.Recv()
		if err == io.EOF {
			return outcome{Messages: messages}
		}
		if err != nil {
			return failed(err)
		}
		messages = append(messages, reply.GetMessage())
	}
}

func failed(err error) outcome {
	found := status.Convert(err)
	return outcome{Code: uint32(found.Code()), Details: found.Message()}
}

func toAll(ctx context.Context, client greeter.GreeterServiceClient, names ...string) outcome {
	stream, err := client.SayHelloToAll(ctx)
	if err != nil {
		return failed(err)
	}
	for _, name := range names {
		// An error here is io.EOF; the status comes with the reply.
		if stream.Send(&greeter.HelloRequest{Name: name}) != nil {
			break
		}
	}
	return one(stream.CloseAndRecv())
}

func chat(ctx context.Context, client greeter.GreeterServiceClient, names ...string) outcome {
	stream, err := client.Chat(ctx)
	if err != nil {
		return failed(err)
	}
	var messages []string
	for _, name := range names {
		_ = stream.Send(&greeter.HelloRequest{Name: name})
		reply, err := stream.Recv()
		if err != nil {
			return failed(err)
		}
		messages = append(messages, reply.GetMessage())
	}
	_ = stream.CloseSend()
	if _, err := stream.Recv(); err != io.EOF {
		return failed(err)
	}
	return outcome{Messages: messages}
}

func healthy(reply *grpc_health_v1.HealthCheckResponse, err error) outcome {
	if err != nil {
		return failed(err)
	}
	return outcome{Messages: []string{reply.GetStatus().String()}}
}

func main() {
	address, token := os.Args[1], os.Args[2]
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	hurried, cancelHurried := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancelHurried()

	client := greeter.NewGreeterServiceClient(conn)
	slowly := &greeter.HelloManyTimesRequest{Name: "World", Count: 1, IntervalMs: 60000}
	report := map[string]outcome{
		"too late": many(client.SayHelloManyTimes(hurried, slowly)),
		"too many": many(client.SayHelloManyTimes(ctx, &greeter.HelloManyTimesRequest{Count: 1001})),
		"/GreeterService/SayHello": one(
			nopackage.NewGreeterServiceClient(conn).SayHello(ctx, &nopackage.HelloRequest{Name: "World"}),
		),
		"/helloworld.GreeterService/SayHello": one(
			packaged.NewGreeterServiceClient(conn).SayHello(ctx, &packaged.HelloRequest{Name: "World"}),
		),
		greeter.GreeterService_SayHello_FullMethodName: one(
			client.SayHello(ctx, &greeter.HelloRequest{Name: "World"}),
		),
		greeter.GreeterService_SayHelloManyTimes_FullMethodName: many(
			client.SayHelloManyTimes(ctx, &greeter.HelloManyTimesRequest{Name: "World", Count: 3}),
		),
		greeter.GreeterService_SayHelloToAll_FullMethodName: toAll(ctx, client, "World", "Moon"),
		greeter.GreeterService_Chat_FullMethodName:          chat(ctx, client, "World", "Moon"),
		grpc_health_v1.Health_Check_FullMethodName: healthy(
			grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}),
		),
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		log.Fatal(err)
	}
}

// server TOKEN is the greeter on a free port of 127.0.0.1, until SIGTERM. Trailers tell what it saw of a call:
// every authorization entry, and how many milliseconds the deadline left.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"eas-grpc.test/interop/pb/greeter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type service struct {
	greeter.UnimplementedGreeterServiceServer
}

// Of calls with the name "counted".
var counted atomic.Int64

// greet refuses the name "fail", and until the caller has tried three times "flaky", by what the caller says, and
// "counted", by what came.
func greet(ctx context.Context, names ...string) (*greeter.HelloResponse, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	for _, name := range names {
		if name == "fail" {
			return nil, status.Error(codes.FailedPrecondition, "größer als 100 % of it")
		}
		if name == "flaky" && strings.Join(in["grpc-previous-rpc-attempts"], "") != "2" {
			return nil, status.Error(codes.Unavailable, "try again")
		}
		if name == "counted" && counted.Add(1)%3 != 0 {
			return nil, status.Error(codes.Unavailable, "try again")
		}
	}
	return &greeter.HelloResponse{Message: "Hello, " + strings.Join(names, " and ") + "!"}, nil
}

func (service) SayHello(ctx context.Context, request *greeter.HelloRequest) (*greeter.HelloResponse, error) {
	reply, err := greet(ctx, request.Name)
	if err != nil {
		return nil, err
	}
	return reply, grpc.SetHeader(ctx, metadata.Pairs("x-language", "go"))
}

func (service) SayHelloManyTimes(
	request *greeter.HelloManyTimesRequest, stream grpc.ServerStreamingServer[greeter.HelloResponse],
) error {
	for range request.Count {
		reply, err := greet(stream.Context(), request.Name)
		if err != nil {
			return err
		}
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
	return nil
}

func (service) SayHelloToAll(
	stream grpc.ClientStreamingServer[greeter.HelloRequest, greeter.HelloResponse],
) error {
	var names []string
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		names = append(names, request.Name)
	}
	reply, err := greet(stream.Context(), names...)
	if err != nil {
		return err
	}
	return stream.SendAndClose(reply)
}

func (service) Chat(stream grpc.BidiStreamingServer[greeter.HelloRequest, greeter.HelloResponse]) error {
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		reply, err := greet(stream.Context(), request.Name)
		if err != nil {
			return err
		}
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
}

// admit returns the trailers and whether the call may go on.
func admit(ctx context.Context, token string) (metadata.MD, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	seen := metadata.Pairs("x-timeout-ms", "none", "x-raw-bin", "\x00\xff")
	if deadline, ok := ctx.Deadline(); ok {
		seen.Set("x-timeout-ms", strconv.FormatInt(time.Until(deadline).Milliseconds(), 10))
	}
	seen["x-authorization"] = in["authorization"]
	if strings.Join(in["authorization"], ",") != "Bearer "+token {
		return seen, status.Error(codes.Unauthenticated, "token refused")
	}
	return seen, nil
}

func main() {
	token := os.Args[1]
	unary := func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		seen, err := admit(ctx, token)
		_ = grpc.SetTrailer(ctx, seen)
		if err != nil {
			return nil, err
		}
		return next(ctx, request)
	}
	streaming := func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		seen, err := admit(stream.Context(), token)
		stream.SetTrailer(seen)
		if err != nil {
			return err
		}
		return next(srv, stream)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(unary), grpc.StreamInterceptor(streaming))
	greeter.RegisterGreeterServiceServer(server, service{})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		server.Stop()
	}()
	fmt.Printf("ready on %s\n", listener.Addr())
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}

// kinds serves the three services of protos/kinds, with reflection, on a free port of 127.0.0.1, until SIGTERM.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"eas-grpc.test/interop/pb/kinds"
	"eas-grpc.test/interop/pb/newer"
	"eas-grpc.test/interop/pb/older"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // for reflection: failures carry them
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

type kindsService struct {
	kinds.UnimplementedKindsServiceServer
}

type olderService struct {
	older.UnimplementedOlderServiceServer
}

type newerService struct {
	newer.UnimplementedNewerServiceServer
}

// ended is nil, or the status that the caller wants.
func ended(failure *kinds.Failure) error {
	if failure == nil {
		return nil
	}
	return status.FromProto(&spb.Status{
		Code: failure.Code, Message: failure.Message, Details: failure.Details,
	}).Err()
}

// each hands every message of a stream to `take`, until its end or an error.
func each[T any](receive func() (T, error), take func(T) error) error {
	for {
		message, err := receive()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = take(message)
		}
		if err != nil {
			return err
		}
	}
}

func (kindsService) Echo(_ context.Context, request *kinds.EchoRequest) (*kinds.EchoResponse, error) {
	if err := ended(request.Failure); err != nil {
		return nil, err
	}
	return &kinds.EchoResponse{Everything: request.Everything}, nil
}

func (kindsService) Repeat(
	request *kinds.RepeatRequest, stream grpc.ServerStreamingServer[kinds.RepeatResponse],
) error {
	for range request.Times {
		if err := stream.Send(&kinds.RepeatResponse{Everything: request.Everything}); err != nil {
			return err
		}
	}
	return ended(request.Failure)
}

func (kindsService) Collect(
	stream grpc.ClientStreamingServer[kinds.CollectRequest, kinds.CollectResponse],
) error {
	response := &kinds.CollectResponse{}
	var failure *kinds.Failure
	err := each(stream.Recv, func(request *kinds.CollectRequest) error {
		if request.Everything != nil {
			response.Everything = append(response.Everything, request.Everything)
		}
		if request.Failure != nil {
			failure = request.Failure
		}
		return nil
	})
	if err == nil {
		err = ended(failure)
	}
	if err != nil {
		return err
	}
	return stream.SendAndClose(response)
}

func (kindsService) Chat(stream grpc.BidiStreamingServer[kinds.ChatRequest, kinds.ChatResponse]) error {
	return each(stream.Recv, func(request *kinds.ChatRequest) error {
		if err := ended(request.Failure); err != nil {
			return err
		}
		return stream.Send(&kinds.ChatResponse{Everything: request.Everything})
	})
}

func (olderService) EchoOlder(
	_ context.Context, request *older.EchoOlderRequest,
) (*older.EchoOlderResponse, error) {
	return &older.EchoOlderResponse{Older: request.Older}, nil
}

func (olderService) ChatOlder(
	stream grpc.BidiStreamingServer[older.ChatOlderRequest, older.ChatOlderResponse],
) error {
	return each(stream.Recv, func(request *older.ChatOlderRequest) error {
		return stream.Send(&older.ChatOlderResponse{Older: request.Older})
	})
}

func (newerService) EchoNewer(
	_ context.Context, request *newer.EchoNewerRequest,
) (*newer.EchoNewerResponse, error) {
	return &newer.EchoNewerResponse{Newer: request.Newer}, nil
}

func (newerService) ChatNewer(
	stream grpc.BidiStreamingServer[newer.ChatNewerRequest, newer.ChatNewerResponse],
) error {
	return each(stream.Recv, func(request *newer.ChatNewerRequest) error {
		return stream.Send(&newer.ChatNewerResponse{Newer: request.Newer})
	})
}

// edges returns the headers and the trailers of an answer; the trailers say what the caller asked them to.
func edges(ctx context.Context) (metadata.MD, metadata.MD) {
	in, _ := metadata.FromIncomingContext(ctx)
	trailers := metadata.Pairs("x-kinds-end-bin", "\xfe\x00\xff")
	trailers["x-kinds-said"] = in["x-kinds-say"]
	trailers["x-kinds-said-bin"] = in["x-kinds-say-bin"]
	return metadata.Pairs("x-kinds-language", "go", "x-kinds-begin-bin", "\x00\xff"), trailers
}

func main() {
	unary := func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		headers, trailers := edges(ctx)
		_ = grpc.SetHeader(ctx, headers)
		_ = grpc.SetTrailer(ctx, trailers)
		return next(ctx, request)
	}
	streaming := func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		headers, trailers := edges(stream.Context())
		_ = stream.SetHeader(headers)
		stream.SetTrailer(trailers)
		return next(srv, stream)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(unary), grpc.StreamInterceptor(streaming))
	kinds.RegisterKindsServiceServer(server, kindsService{})
	older.RegisterOlderServiceServer(server, olderService{})
	newer.RegisterNewerServiceServer(server, newerService{})
	reflection.Register(server)

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

// probe ADDRESS TOKEN calls the greeter over one channel: each line on stdin is a call in JSON, which begins at
// once, and each line on stdout says how one ended and what was seen of it. Ends with its stdin.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log"
	"os"
	"time"

	"eas-grpc.test/interop/pb/greeter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

type order struct {
	ID         int      `json:"id"`
	Method     string   `json:"method"`
	Names      []string `json:"names"`
	Count      uint32   `json:"count"`
	IntervalMs uint32   `json:"interval_ms"`
	Timeout    float64  `json:"timeout"`
}

type outcome struct {
	ID       int         `json:"id"`
	Code     uint32      `json:"code"`
	Details  string      `json:"details"`
	Messages []string    `json:"messages"`
	Headers  metadata.MD `json:"headers"`
	Trailers metadata.MD `json:"trailers"`
	Seconds  float64     `json:"seconds"`
}

func (o order) requests() []proto.Message {
	if o.Method == "SayHelloManyTimes" {
		return []proto.Message{
			&greeter.HelloManyTimesRequest{Name: o.Names[0], Count: o.Count, IntervalMs: o.IntervalMs},
		}
	}
	var requests []proto.Message
	for _, name := range o.Names {
		requests = append(requests, &greeter.HelloRequest{Name: name})
	}
	return requests
}

func (o order) desc() *grpc.StreamDesc {
	return &grpc.StreamDesc{
		ServerStreams: o.Method == "SayHelloManyTimes" || o.Method == "Chat",
		ClientStreams: o.Method == "SayHelloToAll" || o.Method == "Chat",
	}
}

func call(conn *grpc.ClientConn, token string, o order) (seen outcome, err error) {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.Timeout*float64(time.Second)))
	defer cancel()
	stream, err := conn.NewStream(ctx, o.desc(), "/eas_grpc_pb.greeter.v1.GreeterService/"+o.Method)
	if err != nil {
		return seen, err
	}
	defer func() {
		seen.Headers, _ = stream.Header()
		seen.Trailers = stream.Trailer()
	}()
	for _, request := range o.requests() {
		// An error here is io.EOF; the status comes with the reply.
		if stream.SendMsg(request) != nil {
			break
		}
	}
	_ = stream.CloseSend()
	for {
		reply := &greeter.HelloResponse{}
		if err := stream.RecvMsg(reply); err != nil {
			return seen, err
		}
		seen.Messages = append(seen.Messages, reply.Message)
		if !o.desc().ServerStreams {
			return seen, nil
		}
	}
}

func main() {
	address, token := os.Args[1], os.Args[2]
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan outcome)
	go func() {
		for seen := range done {
			if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
				log.Fatal(err)
			}
		}
	}()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			log.Fatal(err)
		}
		go func() {
			began := time.Now()
			seen, err := call(conn, token, o)
			seen.ID, seen.Seconds = o.ID, time.Since(began).Seconds()
			if err != nil && err != io.EOF {
				found := status.Convert(err)
				seen.Code, seen.Details = uint32(found.Code()), found.Message()
			}
			done <- seen
		}()
	}
}

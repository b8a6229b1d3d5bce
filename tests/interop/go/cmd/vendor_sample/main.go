package main

import (
	"context"
	"log"
	"os"
	"time"

	pb "eas-grpc.test/interop/pb/nopackage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

func main() {
	// Replace with your gRPC endpoint. You can find it in the call info panel in the PAI-EAS console.
	// The public network endpoint format is: service-name.{uid}.{region}.pai-eas.aliyuncs.com:80 (the port is fixed at 80).
	host := os.Args[1]
	// Replace with your service token. You can find it on the service details page in the PAI-EAS console.
	token := os.Args[2]
	log.Printf("Connecting to the PAI-EAS gRPC service (%s)...", host)
	// 1. Establish a connection. Connections are thread-safe. We recommend that you create one connection and reuse it.
	conn, err := grpc.NewClient(
		host,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	)
	if err != nil {
		log.Fatalf("Failed to connect: %v", err)
	}
	defer conn.Close()
	// 2. Create a client.
	client := pb.NewGreeterServiceClient(conn)
	// 3. Inject the authentication token by using gRPC metadata.
	md := metadata.Pairs("authorization", "Bearer "+token)
	ctx := metadata.NewOutgoingContext(context.Background(), md)
	// 4. Set a timeout.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// 5. Construct the request.
	req := &pb.HelloRequest{Name: "World"}
	// 6. Make the call.
	resp, err := client.SayHello(ctx, req)
	if err != nil {
		log.Fatalf("Call failed: %v", err)
	}
	log.Printf("Received response: %s", resp.Message)
}

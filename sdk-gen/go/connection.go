package sluice

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const (
	// A peer that is gone without a word is noticed after both times together. On
	// slow links a ping stands in line behind content for a while.
	keepAlive        = 10 * time.Second
	keepAliveTimeout = 20 * time.Second
	// What a download may have under way; uploads go by the server's windows.
	streamWindow     = 2 << 20
	connectionWindow = 8 << 20
	// Fewer, larger writes to the socket cost less.
	socketBuffer = 256 << 10
	// A server that was away is found again soon; how often a call is tried is
	// decided elsewhere.
	connectTimeout    = 5 * time.Second
	reconnectAtLatest = 2 * time.Second
)

// connect prepares connections to one server; each connects when it is used, and
// again after a break.
func (s *settings) connect(server string, own credential, count int) ([]*grpc.ClientConn, error) {
	address, err := url.Parse(server)
	if err != nil || address.Hostname() == "" || (address.Scheme != "http" && address.Scheme != "https") {
		return nil, newError(KindUsage, "%q is no server address; it must be like http://host:7070", server)
	}
	transport, port := insecure.NewCredentials(), "80"
	if address.Scheme == "https" {
		config := s.tls
		if config == nil {
			config = &tls.Config{}
		}
		transport, port = credentials.NewTLS(config), "443"
	}
	if address.Port() != "" {
		port = address.Port()
	}
	options := append([]grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithUserAgent(userAgent),
		grpc.WithChainUnaryInterceptor(own.unary),
		grpc.WithChainStreamInterceptor(own.stream),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connectionWindow),
		grpc.WithWriteBufferSize(socketBuffer),
		grpc.WithReadBufferSize(socketBuffer),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: keepAlive, Timeout: keepAliveTimeout, PermitWithoutStream: true,
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: shortestDelay, Multiplier: 1.6, Jitter: 0.2, MaxDelay: reconnectAtLatest,
			},
			MinConnectTimeout: connectTimeout,
		}),
	}, s.dial...)
	var connections []*grpc.ClientConn
	for range count {
		connection, err := grpc.NewClient("dns:///"+net.JoinHostPort(address.Hostname(), port), options...)
		if err != nil {
			return nil, errors.Join(newError(KindUsage, "cannot connect to %q: %w", server, err), closeAll(connections))
		}
		connections = append(connections, connection)
	}
	return connections, nil
}

func closeAll(connections []*grpc.ClientConn) error {
	var problems []error
	for _, connection := range connections {
		problems = append(problems, connection.Close())
	}
	return errors.Join(problems...)
}

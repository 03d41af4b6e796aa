package sluice

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// credential is what goes with every call of a connection.
type credential struct {
	// An API key or the token of an upload; may be empty.
	fixed string
	// Instead of it, unless nil.
	session *session
}

type credentialKey struct{}

// withCredential replaces that of the connection for calls under this context;
// an empty one sends none.
func withCredential(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, credentialKey{}, token)
}

// sendable tells whether a token can stand in a header.
func sendable(token string) bool {
	for _, char := range []byte(token) {
		if char <= ' ' || char >= 0x7f {
			return false
		}
	}
	return true
}

// authorize adds the credential; answers also the session that it is of.
func (c credential) authorize(ctx context.Context) (context.Context, *session, error) {
	token, replaced := ctx.Value(credentialKey{}).(string)
	session := c.session
	switch {
	case replaced:
		session = nil
	case session != nil:
		var err error
		if token, err = session.token(ctx); err != nil {
			return nil, nil, err
		}
	default:
		token = c.fixed
	}
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	return ctx, session, nil
}

func (c credential) unary(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	for second := false; ; second = true {
		authorized, session, err := c.authorize(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		err = invoke(authorized, method, request, reply, conn, options...)
		if session == nil || second || !tokenExpired(err) {
			return err
		}
		session.expired(began)
	}
}

func (c credential) stream(
	ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, method string,
	open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	authorized, session, err := c.authorize(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	stream, err := open(authorized, description, conn, method, options...)
	if session == nil || err != nil {
		return stream, err
	}
	return &sessionStream{stream, session, began}, nil
}

// sessionStream tells the session when its token has expired. Whoever sends on
// the stream has to begin again, which the session cannot do.
type sessionStream struct {
	grpc.ClientStream
	session *session
	began   time.Time
}

func (s *sessionStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if tokenExpired(err) {
		s.session.expired(s.began)
	}
	return err
}

func tokenExpired(err error) bool {
	status, ok := status.FromError(err)
	return ok && err != nil && refused(status).Reason == ReasonTokenExpired
}

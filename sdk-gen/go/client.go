// Package sluice is the Go SDK of Sluice: it uploads, resumes, finds,
// downloads, watches and deletes files.
//
//	client, err := sluice.NewClient("http://127.0.0.1:7070", sluice.WithAPIKey(key))
//	...
//	uploaded, err := client.Upload(ctx, sluice.Path("holiday.mp4"))
//
// Broken connections and restarts of the server are ridden out, and so are
// refusals for the time being; what the server has stored is never sent again.
// Every failure is an *Error.
package sluice

import (
	"context"
	"crypto/tls"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// An RPC with one answer has it by then, or is tried again.
const callTimeout = time.Minute

// Messages of the contract that calls answer with.
type (
	// Account is the owner of uploads and files.
	Account = sluicev1.Account
	// Capabilities is what a server offers and where its limits are.
	Capabilities = sluicev1.Capabilities
	// File is the immutable content of a completed upload, with a name.
	File = sluicev1.File
	// Upload is a file on its way to the server.
	Upload = sluicev1.Upload
	// Tokens are the tokens of a session. Both are secrets.
	Tokens = sluicev1.Tokens
)

// Client uploads, finds, downloads and deletes files on one server. It may be
// used by any number of goroutines.
type Client struct {
	control *grpc.ClientConn
	// Content goes over connections of its own: one slow stream holds up the
	// others on its connection, and several connections move more.
	lanes    []*grpc.ClientConn
	next     atomic.Uint32
	session  *session
	settings settings
}

type settings struct {
	apiKey      string
	tokens      *Tokens
	save        func(*Tokens) error
	tls         *tls.Config
	connections int
	giveUpAfter time.Duration
	dial        []grpc.DialOption
}

// ClientOption is a choice about a Client.
type ClientOption func(*settings)

// WithAPIKey sets the API key that goes with every call.
func WithAPIKey(key string) ClientOption {
	return func(s *settings) { s.apiKey = strings.TrimSpace(key) }
}

// WithSession signs calls in with the tokens of a session, as Login and Register
// give them. The client refreshes them when they end. A refresh token is good
// for one use, so save gets the new ones before they are used, and nil once the
// session was ended by Logout; it may be nil for a session that ends with the
// process. Only one client may refresh a session.
func WithSession(tokens *Tokens, save func(*Tokens) error) ClientOption {
	return func(s *settings) { s.tokens, s.save = tokens, save }
}

// WithTLS sets how https:// servers are connected to. Unless set, the server
// must have a certificate that the system trusts.
func WithTLS(config *tls.Config) ClientOption {
	return func(s *settings) { s.tls = config }
}

// WithConnections sets how many connections content is spread over; 4 unless
// set.
func WithConnections(count int) ClientOption {
	return func(s *settings) { s.connections = max(count, 1) }
}

// WithGiveUpAfter sets how long to keep trying without any progress; 2 minutes
// unless set.
func WithGiveUpAfter(duration time.Duration) ClientOption {
	return func(s *settings) { s.giveUpAfter = duration }
}

// WithDialOptions adds options to every connection: interceptors, a dialer, a
// stats handler.
func WithDialOptions(options ...grpc.DialOption) ClientOption {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

// NewClient is a client of a server such as http://127.0.0.1:7070. It connects
// when it is first used. Close it at the end.
func NewClient(server string, options ...ClientOption) (*Client, error) {
	client := &Client{settings: settings{connections: 4, giveUpAfter: 2 * time.Minute}}
	for _, option := range options {
		option(&client.settings)
	}
	if !sendable(client.settings.apiKey) {
		return nil, newError(KindUsage, "the API key has characters that no key has; was it copied whole?")
	}
	own := credential{fixed: client.settings.apiKey}
	if tokens := client.settings.tokens; tokens != nil {
		client.session = newSession(tokens, client.settings.save)
		own.session = client.session
	}
	connections, err := client.settings.connect(server, own, 1+client.settings.connections)
	if err != nil {
		return nil, err
	}
	client.control, client.lanes = connections[0], connections[1:]
	if client.session != nil {
		client.session.auth = sluicev1.NewAuthServiceClient(client.control)
	}
	return client, nil
}

// Close closes all connections. What is under way fails.
func (c *Client) Close() error {
	return closeAll(append([]*grpc.ClientConn{c.control}, c.lanes...))
}

// Conn is a connection with this client's credential, for the generated
// clients: sluicev1.NewFileServiceClient(client.Conn()). Calls on it are not
// repeated, and fail with gRPC's own errors.
func (c *Client) Conn() grpc.ClientConnInterface { return c.control }

// Capabilities tells what the server offers and where its limits are. It needs
// no credential, so that it also tells whether the server can be reached.
func (c *Client) Capabilities(ctx context.Context) (*Capabilities, error) {
	service := sluicev1.NewCapabilitiesServiceClient(c.control)
	answer, err := call(ctx, c, service.GetCapabilities, &sluicev1.GetCapabilitiesRequest{})
	return answer.GetCapabilities(), err
}

// lane is one of the connections for content, in turn.
func (c *Client) lane() *grpc.ClientConn {
	return c.lanes[int(c.next.Add(1)%uint32(len(c.lanes)))]
}

func (c *Client) attempts() *attempts {
	return &attempts{giveUpAfter: c.settings.giveUpAfter, inSession: c.session != nil}
}

type method[Q, A any] func(context.Context, *Q, ...grpc.CallOption) (*A, error)

// call calls an RPC with one answer until it answers or refuses.
func call[Q, A any](ctx context.Context, c *Client, method method[Q, A], request *Q) (*A, error) {
	return callWhile(ctx, c, method, request, func(*Error) bool { return true })
}

// callOnce is for an RPC that must not be made twice: it is only repeated if the
// server has refused it, never if it is unknown what became of it.
func callOnce[Q, A any](ctx context.Context, c *Client, method method[Q, A], request *Q) (*A, error) {
	return callWhile(ctx, c, method, request, func(failure *Error) bool { return failure.Kind == KindServer })
}

func callWhile[Q, A any](
	ctx context.Context, c *Client, method method[Q, A], request *Q, repeatable func(*Error) bool,
) (*A, error) {
	attempts := c.attempts()
	for {
		answer, err := within(ctx, method, request)
		if err == nil {
			return answer, nil
		}
		failure := failed(ctx, err)
		if !repeatable(failure) {
			return nil, failure
		}
		if err := attempts.wait(ctx, failure); err != nil {
			return nil, err
		}
	}
}

func within[Q, A any](ctx context.Context, method method[Q, A], request *Q) (*A, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return method(ctx, request)
}

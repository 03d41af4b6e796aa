package sluice

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

const (
	// A token is refreshed so long before its end.
	refreshEarly = 10 * time.Second
	// A refresh has its answer by then. Less than half of the 15 seconds in which
	// servers take the same refresh token again, so that a lost answer leaves time
	// for another try.
	refreshTimeout = 6 * time.Second
	// After a refresh that failed, a token that is still good is used for so long.
	refreshPause = 2 * time.Second
)

// session is a session in use: the access token of the moment, and the turn to
// get the next one.
type session struct {
	auth sluicev1.AuthServiceClient
	save func(*Tokens) error

	mutex  sync.Mutex
	tokens *Tokens
	// When the access token is to be refreshed, and when it ends; zero if only the
	// server can tell.
	due, end time.Time
	renewed  time.Time
	// Why there will be no other tokens.
	over *Error
	// The refresh that is under way: many calls at once make one.
	refresh *refresh
}

type refresh struct {
	done    chan struct{}
	failure *Error
}

func newSession(tokens *Tokens, save func(*Tokens) error) *session {
	if save == nil {
		save = func(*Tokens) error { return nil }
	}
	session := &session{save: save}
	session.keep(proto.CloneOf(tokens))
	if at := tokens.GetAccessExpireTime(); at != nil && session.end.IsZero() {
		session.due, session.end = at.AsTime(), at.AsTime() // Kept for long.
	}
	return session
}

// token is an access token that is good, after a refresh if need be.
func (s *session) token(ctx context.Context) (string, error) {
	for {
		s.mutex.Lock()
		if s.over != nil {
			defer s.mutex.Unlock()
			return "", s.over
		}
		if s.due.IsZero() || time.Now().Before(s.due) {
			defer s.mutex.Unlock()
			return s.tokens.GetAccessToken(), nil
		}
		refresh := s.begin()
		s.mutex.Unlock()
		if err := refresh.wait(ctx); err != nil && (ctx.Err() != nil || !s.usable()) {
			return "", err
		}
	}
}

// usable tells whether the access token of the moment is still good, although it
// could not be refreshed.
func (s *session) usable() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.over == nil && time.Now().Before(s.end)
}

// expired is told that the server has refused a token that was current then.
func (s *session) expired(then time.Time) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if !s.renewed.After(then) {
		s.due = time.Now()
		s.end = s.due
	}
}

// begin joins the refresh that is under way, or begins one. A caller that gives
// up must not take the answer along, because it is the only one. Needs the
// mutex.
func (s *session) begin() *refresh {
	if s.refresh == nil {
		s.refresh = &refresh{done: make(chan struct{})}
		go s.run(s.refresh, s.tokens.GetRefreshToken())
	}
	return s.refresh
}

func (s *session) run(this *refresh, token string) {
	ctx, cancel := context.WithTimeout(withCredential(context.Background(), ""), refreshTimeout)
	defer cancel()
	answer, err := s.auth.RefreshSession(ctx, &sluicev1.RefreshSessionRequest{RefreshToken: token})
	var failure *Error
	if err != nil {
		failure = failed(context.Background(), err)
	} else if err := s.save(answer.GetTokens()); err != nil {
		failure = newError(KindLocal, "cannot keep the session: %w", err)
	}

	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch now := time.Now(); {
	case failure == nil:
		s.keep(answer.GetTokens())
	case failure.Code == codes.Unauthenticated || failure.Code == codes.PermissionDenied:
		s.over = failure
	case now.Before(s.end):
		s.due = now.Add(refreshPause)
	}
	this.failure = failure
	s.refresh = nil
	close(this.done)
}

// keep has these tokens from now on. If they have expired by this machine's
// clock, it is wrong, and the server tells when to refresh.
func (s *session) keep(tokens *Tokens) {
	now := time.Now()
	s.tokens, s.renewed, s.due, s.end = tokens, now, time.Time{}, time.Time{}
	if at := tokens.GetAccessExpireTime(); at != nil && at.AsTime().After(now) {
		s.end = at.AsTime()
		s.due = s.end.Add(-min(refreshEarly, s.end.Sub(now)/5))
	}
}

func (r *refresh) wait(ctx context.Context) error {
	select {
	case <-r.done:
	case <-ctx.Done():
		return failed(ctx, ctx.Err())
	}
	if r.failure != nil {
		return r.failure
	}
	return nil
}

// RefreshSession gets new tokens now, whether or not those of the moment have
// ended.
func (c *Client) RefreshSession(ctx context.Context) (*Tokens, error) {
	if c.session == nil {
		return nil, newError(KindUsage, "this client has no session: see WithSession")
	}
	c.session.mutex.Lock()
	refresh := c.session.begin()
	c.session.mutex.Unlock()
	if err := refresh.wait(ctx); err != nil {
		return nil, err
	}
	c.session.mutex.Lock()
	defer c.session.mutex.Unlock()
	return proto.CloneOf(c.session.tokens), nil
}

// Logout ends the session, on the server and here.
func (c *Client) Logout(ctx context.Context) error {
	if c.session == nil {
		return newError(KindUsage, "this client has no session: see WithSession")
	}
	c.session.mutex.Lock()
	token := c.session.tokens.GetRefreshToken()
	c.session.mutex.Unlock()
	request := &sluicev1.LogoutRequest{RefreshToken: token}
	if _, err := call(withCredential(ctx, ""), c, c.session.auth.Logout, request); err != nil {
		return err
	}
	c.session.mutex.Lock()
	c.session.over = &Error{
		Kind: KindServer, Code: codes.Unauthenticated, Reason: ReasonTokenRevoked,
		Message: "this session has ended; sign in again",
	}
	c.session.mutex.Unlock()
	if err := c.session.save(nil); err != nil {
		return newError(KindLocal, "cannot forget the session: %w", err)
	}
	return nil
}

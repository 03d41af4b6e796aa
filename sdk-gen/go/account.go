package sluice

import (
	"context"
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// Register makes an account and signs in; give the tokens to WithSession.
func (c *Client) Register(ctx context.Context, request *sluicev1.RegisterRequest) (*sluicev1.RegisterResponse, error) {
	service := sluicev1.NewAuthServiceClient(c.control)
	return callOnce(withCredential(ctx, ""), c, service.Register, request)
}

// Login opens a session; give the tokens to WithSession. DeviceToken may be that
// of an earlier sign-in from this device.
func (c *Client) Login(ctx context.Context, request *sluicev1.LoginRequest) (*sluicev1.LoginResponse, error) {
	service := sluicev1.NewAuthServiceClient(c.control)
	return call(withCredential(ctx, ""), c, service.Login, request)
}

// Account is the caller's account.
func (c *Client) Account(ctx context.Context) (*Account, error) {
	service := sluicev1.NewAccountServiceClient(c.control)
	answer, err := call(ctx, c, service.GetAccount, &sluicev1.GetAccountRequest{})
	return answer.GetAccount(), err
}

// SetDisplayName changes what people call the account.
func (c *Client) SetDisplayName(ctx context.Context, name string) (*Account, error) {
	service := sluicev1.NewAccountServiceClient(c.control)
	request := &sluicev1.UpdateAccountRequest{Account: &Account{DisplayName: name}}
	answer, err := call(ctx, c, service.UpdateAccount, request)
	return answer.GetAccount(), err
}

// ChangePassword changes the password and ends all other sessions.
func (c *Client) ChangePassword(ctx context.Context, current, next string) error {
	service := sluicev1.NewAccountServiceClient(c.control)
	request := &sluicev1.ChangePasswordRequest{CurrentPassword: current, NewPassword: next}
	_, err := callOnce(ctx, c, service.ChangePassword, request)
	return err
}

// Usage tells what the account holds and how much it may.
func (c *Client) Usage(ctx context.Context) (*sluicev1.Usage, error) {
	service := sluicev1.NewAccountServiceClient(c.control)
	answer, err := call(ctx, c, service.GetUsage, &sluicev1.GetUsageRequest{})
	return answer.GetUsage(), err
}

// Sessions are the account's open sessions, newest first.
func (c *Client) Sessions(ctx context.Context) iter.Seq2[*sluicev1.Session, error] {
	service := sluicev1.NewAccountServiceClient(c.control)
	return pages(func(token string) ([]*sluicev1.Session, string, error) {
		request := &sluicev1.ListSessionsRequest{PageSize: pageSize, PageToken: token}
		answer, err := call(ctx, c, service.ListSessions, request)
		return answer.GetSessions(), answer.GetNextPageToken(), err
	})
}

// RevokeSession ends one session.
func (c *Client) RevokeSession(ctx context.Context, sessionID string) error {
	target := &sluicev1.RevokeSessionRequest_SessionId{SessionId: sessionID}
	_, err := c.revokeSessions(ctx, &sluicev1.RevokeSessionRequest{Target: target})
	return err
}

// RevokeOtherSessions ends all sessions but the caller's own, and tells how many
// there were.
func (c *Client) RevokeOtherSessions(ctx context.Context) (int, error) {
	target := &sluicev1.RevokeSessionRequest_AllOthers{AllOthers: true}
	return c.revokeSessions(ctx, &sluicev1.RevokeSessionRequest{Target: target})
}

func (c *Client) revokeSessions(ctx context.Context, request *sluicev1.RevokeSessionRequest) (int, error) {
	answer, err := call(ctx, c, sluicev1.NewAccountServiceClient(c.control).RevokeSession, request)
	return int(answer.GetRevoked()), err
}

// CreateAPIKey makes an API key that is good for so long; zero means for ever.
// Its Secret cannot be shown again.
func (c *Client) CreateAPIKey(
	ctx context.Context, name string, ttl time.Duration, scopes ...sluicev1.Scope,
) (*sluicev1.CreateApiKeyResponse, error) {
	request := &sluicev1.CreateApiKeyRequest{Name: name, Scopes: scopes}
	if ttl > 0 {
		request.Ttl = durationpb.New(ttl)
	}
	return callOnce(ctx, c, sluicev1.NewAccountServiceClient(c.control).CreateApiKey, request)
}

// APIKeys are the account's API keys, newest first, without their secrets.
func (c *Client) APIKeys(ctx context.Context) iter.Seq2[*sluicev1.ApiKey, error] {
	service := sluicev1.NewAccountServiceClient(c.control)
	return pages(func(token string) ([]*sluicev1.ApiKey, string, error) {
		request := &sluicev1.ListApiKeysRequest{PageSize: pageSize, PageToken: token}
		answer, err := call(ctx, c, service.ListApiKeys, request)
		return answer.GetApiKeys(), answer.GetNextPageToken(), err
	})
}

// RevokeAPIKey ends an API key.
func (c *Client) RevokeAPIKey(ctx context.Context, keyID string) error {
	service := sluicev1.NewAccountServiceClient(c.control)
	_, err := call(ctx, c, service.RevokeApiKey, &sluicev1.RevokeApiKeyRequest{ApiKeyId: keyID})
	return err
}

package sluice_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	sluice "github.com/sluice-dev/sluice/sdk-gen/go"
	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

const password = "a long passphrase"

func register(t *testing.T, s *server) *sluice.Tokens {
	t.Helper()
	answer, err := connect(t, s.url).Register(background, &sluicev1.RegisterRequest{
		Email: "ada@example.com", Password: password, SetupToken: s.secret("setup-token"),
	})
	check(t, err)
	return answer.GetTokens()
}

// kept is what a session's owner was given to keep.
type kept struct {
	mutex  sync.Mutex
	tokens []*sluice.Tokens
}

func (k *kept) save(tokens *sluice.Tokens) error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.tokens = append(k.tokens, tokens)
	return nil
}

func (k *kept) count() int {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return len(k.tokens)
}

func TestPeopleSignInAndOut(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	register(t, s)
	anonymous := connect(t, s.url)
	_, err := anonymous.Account(background)
	equal(t, errors.Is(err, sluice.ReasonCredentialsInvalid), true)
	_, err = anonymous.Login(background, &sluicev1.LoginRequest{Email: "ada@example.com", Password: "wrong"})
	equal(t, errors.Is(err, sluice.ReasonCredentialsInvalid), true)
	signedIn, err := anonymous.Login(background, &sluicev1.LoginRequest{Email: "ada@example.com", Password: password})
	check(t, err)

	var kept kept
	client := connect(t, s.url, sluice.WithSession(signedIn.GetTokens(), kept.save))
	account, err := client.Account(background)
	check(t, err)
	equal(t, account.GetEmail(), "ada@example.com")
	fresh, err := client.RefreshSession(background)
	check(t, err)
	equal(t, kept.tokens[0].GetRefreshToken(), fresh.GetRefreshToken())
	_, err = client.Account(background)
	check(t, err)
	sessions := 0
	for session, err := range client.Sessions(background) {
		check(t, err)
		sessions++
		equal(t, session.GetUserAgent()[:len("sluice-sdk-go/")], "sluice-sdk-go/")
	}
	equal(t, sessions, 2)
	others, err := client.RevokeOtherSessions(background)
	check(t, err)
	equal(t, others, 1)
	check(t, client.ChangePassword(background, password, "another passphrase"))
	_, err = client.SetDisplayName(background, "Ada")
	check(t, err)

	check(t, client.Logout(background))
	equal(t, kept.count(), 2)
	equal(t, kept.tokens[1], nil)
	_, err = client.Account(background)
	equal(t, errors.Is(err, sluice.ReasonTokenRevoked), true)
}

func TestAnExpiredTokenIsRefreshedOnceForAllCalls(t *testing.T) {
	t.Parallel()
	s := startServer(t, "SLUICE__ACCOUNTS__ACCESS_TOKEN_TTL=1s")
	tokens := register(t, s)
	// Without their times, so that only the server knows when they end.
	tokens.AccessExpireTime, tokens.RefreshExpireTime = nil, nil
	time.Sleep(2500 * time.Millisecond)
	var kept kept
	client := connect(t, s.url, sluice.WithSession(tokens, kept.save))
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() {
			if _, err := client.Account(background); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if count := kept.count(); count < 1 || count > 2 {
		t.Fatalf("%d refreshes", count)
	}
	// Streams as well, while tokens keep ending.
	content := random(24 * mib)
	p := newProxy(t, s.address())
	p.rate = 8 * mib
	slow := connect(t, p.url(), sluice.WithSession(kept.tokens[kept.count()-1], kept.save))
	uploaded, err := slow.Upload(background, sluice.Bytes(content), sluice.WithName("a"), sluice.WithPartSize(mib))
	check(t, err)
	stored(t, slow, uploaded.File, content)
}

func TestASessionThatCannotBeKeptIsTold(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	full := errors.New("the disk is full")
	client := connect(t, s.url, sluice.WithSession(register(t, s), func(*sluice.Tokens) error { return full }))
	_, err := client.RefreshSession(background)
	equal(t, errors.Is(err, sluice.KindLocal) && errors.Is(err, full), true)
}

func TestARefreshOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var kept kept
	client := connect(t, s.url, sluice.WithSession(register(t, s), kept.save))
	ctx, cancel := context.WithCancel(background)
	cancel()
	_, err := client.RefreshSession(ctx)
	equal(t, errors.Is(err, sluice.KindCancelled), true)
	eventually(t, "the refresh", func() bool { return kept.count() == 1 })
	_, err = client.Account(background)
	check(t, err)
}

func TestKeysDoWhatTheyMay(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	made, err := client.CreateAPIKey(background, "reader", time.Hour, sluicev1.Scope_SCOPE_FILES_READ)
	check(t, err)
	reader := connect(t, s.url, sluice.WithAPIKey(made.GetSecret()))
	for _, err := range reader.List(background) {
		check(t, err)
	}
	_, err = reader.Upload(background, sluice.Bytes(nil), sluice.WithName("a"))
	var failure *sluice.Error
	if !errors.As(err, &failure) || failure.Reason != sluice.ReasonScopeMissing {
		t.Fatalf("%v", err)
	}
	equal(t, failure.Metadata["scope"], "uploads:write")
	found := false
	for key, err := range client.APIKeys(background) {
		check(t, err)
		found = found || key.GetId() == made.GetApiKey().GetId()
	}
	equal(t, found, true)
	check(t, client.RevokeAPIKey(background, made.GetApiKey().GetId()))
	for _, err := range reader.List(background) {
		equal(t, errors.Is(err, sluice.ReasonTokenRevoked) || errors.Is(err, sluice.ReasonCredentialsInvalid), true)
	}
	usage, err := client.Usage(background)
	check(t, err)
	equal(t, usage.GetStoredBytes(), 0)
	capabilities, err := connect(t, s.url).Capabilities(background)
	check(t, err)
	equal(t, capabilities.GetLimits().GetDefaultFrameSize(), mib)
	_, err = sluice.NewClient(s.url, sluice.WithAPIKey("a\nb"))
	equal(t, errors.Is(err, sluice.KindUsage), true)
}

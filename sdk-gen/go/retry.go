package sluice

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// The first delay is this and up to as much again; doubled after each failure.
	shortestDelay = 100 * time.Millisecond
	// The longest, unless the server asks for a longer one: 5 s with jitter.
	longestDelay = 2500 * time.Millisecond
	// What a server may ask for at most, whatever it says.
	longestAsked = time.Minute
)

// attempts is one run of attempts at the same thing. The time that it fails
// without progress decides when it gives up, never their number.
type attempts struct {
	giveUpAfter  time.Duration
	inSession    bool
	failures     int
	failingSince time.Time
	renewed      bool
}

// progressed tells that something got better: delays are short again and the
// time starts anew.
func (a *attempts) progressed() {
	*a = attempts{giveUpAfter: a.giveUpAfter, inSession: a.inSession}
}

// wait waits before the next attempt, or gives the error back if there is no
// point in one.
func (a *attempts) wait(ctx context.Context, failure *Error) error {
	if failure.Reason == ReasonTokenExpired && a.inSession && !a.renewed {
		a.renewed = true
		return nil // The next attempt brings another token.
	}
	if !failure.Transient() {
		return failure
	}
	if a.failingSince.IsZero() {
		a.failingSince = time.Now()
	}
	delay := jittered(min(shortestDelay<<min(a.failures, 10), longestDelay), 1)
	if failure.RetryAfter > 0 {
		// Clients that were refused together do not come back together.
		delay = max(delay, jittered(min(failure.RetryAfter, longestAsked), 0.25))
	}
	a.failures++
	if waited := time.Since(a.failingSince); waited+delay > a.giveUpAfter {
		if waited >= time.Second {
			failure.Message += fmt.Sprintf(" (gave up after %s without progress)", waited.Round(time.Second))
		}
		return failure
	}
	select {
	case <-ctx.Done():
		return failed(ctx, ctx.Err())
	case <-time.After(delay):
		return nil
	}
}

func jittered(delay time.Duration, share float64) time.Duration {
	return delay + time.Duration(rand.Float64()*share*float64(delay))
}

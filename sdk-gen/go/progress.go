package sluice

import (
	"sync"
	"time"
)

// How often progress is told at least, while bytes move.
const progressInterval = 100 * time.Millisecond

// Progress is how far an upload or a download is.
type Progress struct {
	// UploadID is the upload, once the server has opened it: remember it to resume
	// in another process. Empty in downloads.
	UploadID string
	// Total is the size of the file, and -1 while it is unknown.
	Total int64
	// Persisted are the bytes that are stored durably, or that have arrived. Never
	// falls and never exceeds Total.
	Persisted int64
	// Sent are all bytes of content that this call has handed to the network, or
	// has received, repeats included.
	Sent int64
	// Resumed are the bytes that were there before this call began.
	Resumed int64
}

// tally counts and tells.
type tally struct {
	mutex sync.Mutex
	now   Progress
	// What is stored now, which may fall if storage asks for parts again.
	there   int64
	told    time.Time
	observe func(Progress)
}

// change tells at once if it is important, and from time to time otherwise.
func (t *tally) change(important bool, change func(*Progress)) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	change(&t.now)
	t.now.Persisted = max(t.now.Persisted, t.there)
	if t.observe == nil || !important && time.Since(t.told) < progressInterval {
		return
	}
	t.told = time.Now()
	t.observe(t.now)
}

func (t *tally) opened(id string, total, persisted int64) {
	t.change(true, func(p *Progress) {
		p.UploadID, p.Total, p.Resumed, t.there = id, total, persisted, persisted
	})
}

func (t *tally) sent(bytes int64) { t.change(false, func(p *Progress) { p.Sent += bytes }) }

func (t *tally) persisted(bytes int64) { t.change(true, func(*Progress) { t.there += bytes }) }

func (t *tally) stored(bytes int64) { t.change(false, func(*Progress) { t.there = bytes }) }

func (t *tally) progress() Progress {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.now
}

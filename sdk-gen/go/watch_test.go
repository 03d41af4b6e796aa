package sluice_test

import (
	"context"
	"errors"
	"testing"
	"time"

	sluice "github.com/sluice-dev/sluice/sdk-gen/go"
	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

func TestWhatHappensIsToldAcrossBreaks(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := newProxy(t, s.address())
	watcher, client := through(t, s, p), s.client()
	ctx, cancel := context.WithTimeout(background, 30*time.Second)
	defer cancel()
	upload := func(name string) {
		if _, err := client.Upload(ctx, sluice.Bytes([]byte(name)), sluice.WithName(name)); err != nil {
			t.Error(err)
		}
	}
	token, snapshots, begun := "", 0, false
	for event, err := range watcher.Watch(ctx) {
		check(t, err)
		if event.SnapshotBegin {
			begun = true
		}
		if event.SnapshotEnd {
			snapshots++
			upload("one")
		}
		if event.File.GetState() == sluicev1.File_STATE_READY && event.File.GetName() == "one" {
			p.mutex.Lock()
			p.closeAll()
			p.mutex.Unlock()
			upload("two")
		}
		if event.File.GetState() == sluicev1.File_STATE_READY && event.File.GetName() == "two" {
			token = event.ResumeToken
			break
		}
	}
	equal(t, begun, true)
	equal(t, snapshots, 1)

	// Another process goes on, and sees what happened meanwhile.
	file, err := client.Find(ctx, "two")
	check(t, err)
	check(t, client.Delete(ctx, file.GetId()))
	for event, err := range client.Watch(ctx, sluice.WatchAfter(token)) {
		check(t, err)
		equal(t, event.SnapshotBegin, false)
		if event.DeletedFileID == file.GetId() {
			break
		}
	}
	// A token that the server does not know begins with a snapshot.
	for event, err := range client.Watch(ctx, sluice.WatchAfter("nonsense")) {
		check(t, err)
		equal(t, event.SnapshotBegin, true)
		break
	}
	stop, now := context.WithCancel(ctx)
	for event, err := range client.Watch(stop) {
		if event.SnapshotEnd {
			now()
		}
		if err != nil {
			equal(t, errors.Is(err, sluice.KindCancelled), true)
		}
	}
	now()
	for _, err := range client.Watch(ctx, sluice.WatchFile("file_01a224d9-8cf1-72d5-a309-1ea6d73ab0aa")) {
		equal(t, errors.Is(err, sluice.ReasonFileNotFound), true)
	}
}

package sluice

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// A server says something every 15 s. A stream that brings nothing for this long
// is opened again.
const watchStall = 45 * time.Second

// Event is what has happened: one of the fields but the last is set.
type Event struct {
	// SnapshotBegin: a snapshot begins, at the start or because the server does not
	// remember where this stream was. Forget what was seen before, the snapshot
	// has all that counts.
	SnapshotBegin bool
	// SnapshotEnd: the snapshot is whole; what follows are changes.
	SnapshotEnd bool
	// Upload is an upload as it is now, without its PersistedRanges.
	Upload *Upload
	// File is a file as it is now.
	File *File
	// DeletedFileID is the id of a file that was deleted or replaced.
	DeletedFileID string
	// ResumeToken continues after this event, with WatchAfter, for at least an
	// hour. Empty before the first snapshot is whole.
	ResumeToken string
}

// WatchOption is a choice about what is watched; everything of the caller unless
// uploads or files are named.
type WatchOption func(*sluicev1.WatchEventsRequest)

// WatchUpload adds uploads, and the files that they become.
func WatchUpload(uploadIDs ...string) WatchOption {
	return func(request *sluicev1.WatchEventsRequest) {
		request.UploadIds = append(request.UploadIds, uploadIDs...)
	}
}

// WatchFile adds files. At most 1,000 ids can be named in all.
func WatchFile(fileIDs ...string) WatchOption {
	return func(request *sluicev1.WatchEventsRequest) {
		request.FileIds = append(request.FileIds, fileIDs...)
	}
}

// WatchAfter goes on where another Watch of the same ids was, also in another
// process.
func WatchAfter(resumeToken string) WatchOption {
	return func(request *sluicev1.WatchEventsRequest) { request.ResumeToken = resumeToken }
}

// Watch sees uploads and files change: first a snapshot of what is under way, or
// of what was named, then every change, made by whomever, until the context
// ends.
//
// Broken connections and restarts of the server are ridden out, and what changed
// meanwhile is told afterwards. Of quick changes only the newest may be told,
// and progress of an upload at most once a second.
func (c *Client) Watch(ctx context.Context, options ...WatchOption) iter.Seq2[Event, error] {
	request := &sluicev1.WatchEventsRequest{}
	for _, option := range options {
		option(request)
	}
	return func(yield func(Event, error) bool) {
		w := &watch{client: c, request: proto.CloneOf(request), attempts: c.attempts()}
		for {
			failure := w.stream(ctx, func(event Event) bool { return yield(event, nil) })
			if failure == nil {
				return
			}
			if failure.Reason == ReasonResumeTokenInvalid && w.request.GetResumeToken() != "" {
				w.request.ResumeToken = "" // Then there is a new snapshot.
				continue
			}
			if err := w.attempts.wait(ctx, failure); err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

type watch struct {
	client   *Client
	request  *sluicev1.WatchEventsRequest
	attempts *attempts
}

// stream tells the events of one stream. Answers with nothing if nobody wants
// more.
func (w *watch) stream(ctx context.Context, tell func(Event) bool) *Error {
	ctx, dog := watched(ctx, watchStall)
	defer dog.stop()
	service := sluicev1.NewEventServiceClient(w.client.control)
	stream, err := service.WatchEvents(ctx, w.request)
	if err != nil {
		return failed(ctx, err)
	}
	begins := w.request.GetResumeToken() == ""
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return &Error{Kind: KindTransport, Message: "the server has ended the stream"}
		}
		if err != nil {
			return failed(ctx, err)
		}
		w.attempts.progressed()
		if begins && !tell(Event{SnapshotBegin: true}) {
			return nil
		}
		begins = false
		if token := message.GetResumeToken(); token != "" {
			w.request.ResumeToken = token
		}
		if event, told := w.event(message); told && !tell(event) {
			return nil
		}
		dog.moved() // Whoever is told may take a while.
	}
}

func (w *watch) event(message *sluicev1.WatchEventsResponse) (event Event, told bool) {
	event.ResumeToken = w.request.GetResumeToken()
	switch what := message.GetEvent().(type) {
	case *sluicev1.WatchEventsResponse_Upload:
		event.Upload = what.Upload
	case *sluicev1.WatchEventsResponse_File:
		event.File = what.File
	case *sluicev1.WatchEventsResponse_FileDeleted_:
		event.DeletedFileID = what.FileDeleted.GetFileId()
	case *sluicev1.WatchEventsResponse_SnapshotEnd_:
		event.SnapshotEnd = true
	default:
		return event, false
	}
	return event, true
}

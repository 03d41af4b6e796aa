package sluice

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// A stream on which no frame moves for this long is given up. Keep-alive notices
// dead connections much earlier; this is for servers that hang. A frame takes
// minutes where several streams share a slow link.
const stall = 5 * time.Minute

var errStalled = &Error{
	Kind: KindTransport, Code: codes.DeadlineExceeded,
	Message: "nothing moved between here and the server for too long",
}

// watchdog ends a context when nothing has moved for too long.
type watchdog struct {
	timer  *time.Timer
	limit  time.Duration
	cancel context.CancelCauseFunc
}

func watched(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watchdog{time.AfterFunc(limit, func() { cancel(errStalled) }), limit, cancel}
}

func (w *watchdog) moved() { w.timer.Reset(w.limit) }

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// writeStream is one call of WriteUpload.
type writeStream struct {
	ctx    context.Context
	dog    *watchdog
	stream grpc.ClientStreamingClient[sluicev1.WriteUploadRequest, sluicev1.WriteUploadResponse]
}

func openWriteStream(ctx context.Context, connection grpc.ClientConnInterface) (*writeStream, error) {
	ctx, dog := watched(ctx, stall)
	stream, err := sluicev1.NewUploadServiceClient(connection).WriteUpload(ctx, grpc.ForceCodecV2(newFrameCodec()))
	if err != nil {
		err = failed(ctx, err)
		dog.stop()
		return nil, err
	}
	return &writeStream{ctx, dog, stream}, nil
}

// send sends one message and gives the frame, if there is one, away. When it
// returns, all messages before this one have left for the socket: no more than
// one is buffered, and so no more is lost in a cut.
func (s *writeStream) send(request *sluicev1.WriteUploadRequest, frame *frame) error {
	err := s.stream.SendMsg(&outgoing{request, frame})
	s.dog.moved()
	return err
}

// answerTo tells that there is nothing more to send and waits for the answer,
// which says more than the error that sending may have met.
func (s *writeStream) answerTo(sending error) (*sluicev1.WriteUploadResponse, error) {
	if sending != nil && !errors.Is(sending, io.EOF) {
		return nil, failed(s.ctx, sending)
	}
	answer, err := s.stream.CloseAndRecv()
	if err != nil {
		return nil, failed(s.ctx, err)
	}
	return answer, nil
}

func (s *writeStream) close() { s.dog.stop() }

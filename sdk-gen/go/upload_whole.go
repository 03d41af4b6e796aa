package sluice

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// framesOf reads all of it.
func (t *transfer) framesOf(content *content) ([]frame, error) {
	var frames []frame
	for offset := int64(0); offset < content.size; {
		frame, err := content.frame(offset, int(min(frameSize, content.size-offset)))
		if err != nil {
			return nil, err
		}
		frames = append(frames, frame)
		offset += frame.size()
	}
	return frames, content.unchanged()
}

// uploadWhole creates, writes and completes in one call. A repeat is the very
// same stream, which the request id makes harmless.
func (t *transfer) uploadWhole(ctx context.Context, frames []frame) (*File, error) {
	size, whole := int64(0), uint32(0)
	for _, frame := range frames {
		defer frame.content.Free()
		size += frame.size()
		whole = combineCRC32C(whole, frame.crc32c, frame.size())
	}
	t.tally.change(false, func(p *Progress) { p.Total = size })
	attempts := t.client.attempts()
	for {
		answer, err := t.writeWhole(ctx, frames, size, whole)
		if err == nil {
			t.tally.change(true, func(p *Progress) {
				p.UploadID, t.tally.there = answer.GetUpload().GetId(), size
			})
			return answer.GetFile(), nil
		}
		failure := failed(ctx, err)
		for number := range failure.Violations {
			// How the upload was opened is none of the caller's business.
			field := &failure.Violations[number].Field
			*field = strings.TrimPrefix(*field, "create_upload.")
		}
		if failure.Reason == ReasonFileExists || failure.Reason == ReasonFileChecksumMismatch {
			t.abandon(ctx, failure.UploadID)
		}
		if err := attempts.wait(ctx, failure); err != nil {
			return nil, err
		}
	}
}

func (t *transfer) writeWhole(
	ctx context.Context, frames []frame, size int64, whole uint32,
) (*sluicev1.WriteUploadResponse, error) {
	stream, err := openWriteStream(ctx, t.client.lane())
	if err != nil {
		return nil, err
	}
	defer stream.close()
	create := &sluicev1.WriteUploadRequest_CreateUpload{CreateUpload: t.options.createRequest(size)}
	last := &sluicev1.WriteUploadRequest{Complete: true, ExpectedChecksums: t.options.expectedChecksums(whole)}
	if len(frames) == 0 {
		last.FirstMessage = create
		return stream.answerTo(stream.send(last, nil))
	}
	offset := int64(0)
	for number, frame := range frames {
		request := &sluicev1.WriteUploadRequest{}
		if number == len(frames)-1 {
			request = proto.CloneOf(last)
		}
		if number == 0 {
			request.FirstMessage = create
		}
		request.WriteOffset = offset
		frame.content.Ref() // It stays here for another attempt.
		if err := stream.send(request, &frame); err != nil {
			return stream.answerTo(err)
		}
		t.tally.sent(frame.size())
		offset += frame.size()
	}
	return stream.answerTo(nil)
}

// abandon cancels an upload that was refused at its end. Nobody resumes what is
// sent in one call; it would expire in any case.
func (t *transfer) abandon(ctx context.Context, uploadID string) {
	if uploadID == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	service := sluicev1.NewUploadServiceClient(t.client.control)
	_, _ = service.CancelUpload(ctx, &sluicev1.CancelUploadRequest{UploadId: uploadID})
}

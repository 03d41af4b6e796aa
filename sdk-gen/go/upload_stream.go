package sluice

import (
	"context"
	"errors"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// input reads a stream once, as frames. All but the last are full.
type input struct {
	reader io.Reader
	ended  bool
}

func (in *input) read(upTo int64) (frames []frame, err error) {
	for read := int64(0); read < upTo && !in.ended; {
		buffer := framePool.Get(frameSize)
		length, err := io.ReadFull(in.reader, *buffer)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			in.ended = true
		} else if err != nil {
			return nil, newError(KindLocal, "cannot read the stream: %w", err)
		}
		if length == 0 {
			framePool.Put(buffer)
			break
		}
		*buffer = (*buffer)[:length]
		frames = append(frames, newFrame(buffer))
		read += int64(length)
	}
	return frames, nil
}

// uploadStream uploads what is read once, each part in memory until it is
// persisted.
func (t *transfer) uploadStream(ctx context.Context, reader io.Reader) (*File, error) {
	in := &input{reader: reader}
	// One frame more shows whether one call is enough.
	frames, err := in.read(t.options.oneCall() + frameSize)
	if err != nil {
		return nil, err
	}
	if total(frames) <= t.options.oneCall() {
		return t.uploadWhole(ctx, frames)
	}
	service := sluicev1.NewUploadServiceClient(t.client.control)
	answer, err := call(ctx, t.client, service.CreateUpload, t.options.createRequest(-1))
	if err != nil {
		return nil, err
	}
	upload := answer.GetUpload()
	if upload.GetWriterEpoch() != 1 || upload.GetPersistedBytes() > 0 {
		return nil, newError(KindUsage, "a stream cannot go on with an upload that was begun before")
	}
	writer, err := newPartWriter(t, upload, answer.GetUploadToken(), -1)
	if err != nil {
		return nil, err
	}
	defer writer.close()

	size := int64(0)
	read := func(ctx context.Context, parts chan<- *part) (err error) {
		size, err = writer.readParts(ctx, in, frames, parts)
		return err
	}
	if err := writer.run(ctx, read); err != nil {
		return nil, err
	}
	return writer.complete(ctx, size)
}

// readParts reads on whenever there is memory for a part. Answers with the size
// of everything.
func (w *partWriter) readParts(ctx context.Context, in *input, frames []frame, parts chan<- *part) (size int64, err error) {
	room := make(chan struct{}, w.transfer.options.concurrency+1)
	for index := 0; ; index++ {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return 0, failed(ctx, ctx.Err())
		}
		more, err := in.read(w.partSize - total(frames))
		if err != nil {
			return 0, err
		}
		frames = append(frames, more...)
		if len(frames) == 0 {
			return size, nil
		}
		// Small parts hold less than was read to see whether one call is enough.
		held := frames[:min(len(frames), int(w.partSize/frameSize))]
		frames = frames[len(held):]
		next := &part{index: index, offset: size, size: total(held)}
		size += next.size
		if in.ended && len(frames) == 0 {
			next.finalSize = proto.Int64(size)
			w.transfer.tally.change(false, func(p *Progress) { p.Total = size })
		}
		next.frame = func(offset int64, _ int) (frame, error) {
			frame := held[(offset-next.offset)/frameSize]
			frame.content.Ref() // It stays here until the part is persisted.
			return frame, nil
		}
		next.persisted = func() {
			for _, frame := range held {
				frame.content.Free()
			}
			<-room
		}
		select {
		case parts <- next:
		case <-ctx.Done():
			return 0, failed(ctx, ctx.Err())
		}
	}
}

func total(frames []frame) (bytes int64) {
	for _, frame := range frames {
		bytes += frame.size()
	}
	return bytes
}

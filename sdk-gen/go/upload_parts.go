package sluice

import (
	"context"
	"errors"
	"strings"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// Times that storage may ask for parts again at completion.
const mostCompletions = 5

// uploadParts uploads content that has more than one part.
func (t *transfer) uploadParts(ctx context.Context, content *content) (*File, error) {
	service := sluicev1.NewUploadServiceClient(t.client.control)
	answer, err := call(ctx, t.client, service.CreateUpload, t.options.createRequest(content.size))
	if err != nil {
		return nil, err
	}
	upload := answer.GetUpload()
	fresh := upload.GetWriterEpoch() == 1 && upload.GetPersistedBytes() == 0 &&
		upload.GetState() == sluicev1.Upload_STATE_ACTIVE
	if !fresh {
		return t.goOn(ctx, upload, content) // The request id is that of an earlier call.
	}
	return t.finish(ctx, upload, answer.GetUploadToken(), content)
}

// goOn continues an upload in whatever state it is.
func (t *transfer) goOn(ctx context.Context, upload *Upload, content *content) (*File, error) {
	t.tally.opened(upload.GetId(), content.size, persistedBytes(upload))
	if upload.Size != nil && upload.GetSize() != content.size {
		return nil, content.changed("has %d bytes instead of %d", content.size, upload.GetSize())
	}
	switch upload.GetState() {
	case sluicev1.Upload_STATE_COMPLETING, sluicev1.Upload_STATE_COMPLETED:
		file, err := t.complete(ctx, &sluicev1.CompleteUploadRequest{UploadId: upload.GetId()})
		if err != nil {
			return nil, err
		}
		return file, t.isOf(ctx, content, file)
	}
	service := sluicev1.NewUploadServiceClient(t.client.control)
	answer, err := call(ctx, t.client, service.ResumeUpload, &sluicev1.ResumeUploadRequest{UploadId: upload.GetId()})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, answer.GetUpload(), answer.GetUploadToken(), content)
}

// isOf refuses content that is not that of the file.
func (t *transfer) isOf(ctx context.Context, content *content, file *File) error {
	if file.GetSize() != content.size {
		return content.changed("has %d bytes, and the file has %d", content.size, file.GetSize())
	}
	checksum, err := content.checksum(ctx, 0, content.size)
	if err != nil {
		return err
	}
	if expected := file.GetChecksums(); expected != nil && expected.Crc32C != nil && expected.GetCrc32C() != checksum {
		return content.changed("has other bytes than the file")
	}
	t.tally.opened(file.GetUploadId(), content.size, content.size)
	return nil
}

// finish sends what is missing and completes.
func (t *transfer) finish(ctx context.Context, upload *Upload, token string, content *content) (*File, error) {
	writer, err := newPartWriter(t, upload, token, content.size)
	if err != nil {
		return nil, err
	}
	defer writer.close()
	if persistedBytes(upload) > 0 {
		if err := writer.compare(ctx, content); err != nil {
			return nil, err
		}
	}
	for round := 1; ; round++ {
		if err := writer.run(ctx, writer.missing(upload, content)); err != nil {
			return nil, err
		}
		if err := content.unchanged(); err != nil {
			return nil, err
		}
		file, err := writer.complete(ctx, content.size)
		if !errors.Is(err, ReasonPartsMissing) || round == mostCompletions {
			return file, err
		}
		if upload, err = writer.current(ctx); err != nil {
			return nil, err
		}
		t.tally.stored(persistedBytes(upload))
	}
}

// missing produces the parts that are not persisted, in order.
func (w *partWriter) missing(upload *Upload, content *content) func(context.Context, chan<- *part) error {
	return func(ctx context.Context, parts chan<- *part) error {
		for index, offset := 0, int64(0); offset < content.size; index, offset = index+1, offset+w.partSize {
			next := &part{
				index: index, offset: offset, size: min(w.partSize, content.size-offset),
				frame: content.frame, persisted: func() {},
			}
			if upload.Size == nil {
				next.finalSize = &content.size
			}
			if holds(upload, next) {
				continue
			}
			select {
			case parts <- next:
			case <-ctx.Done():
				return failed(ctx, ctx.Err())
			}
		}
		return nil
	}
}

// compare refuses content that differs from the parts that others have sent, and
// notes their checksums.
func (w *partWriter) compare(ctx context.Context, content *content) error {
	for listed, err := range w.transfer.client.UploadParts(ctx, w.uploadID) {
		if err != nil {
			return err
		}
		end := listed.GetOffset() + listed.GetSize()
		if listed.GetOffset() < 0 || end > content.size {
			return content.changed("has %d bytes, and more are stored", content.size)
		}
		checksum, err := content.checksum(ctx, listed.GetOffset(), end)
		if err != nil {
			return err
		}
		if checksum != listed.GetCrc32C() {
			return content.changed("has other bytes than are stored, from %d to %d", listed.GetOffset(), end)
		}
		w.note(int(listed.GetPartNumber())-1, checksum)
	}
	return nil
}

func stateName(state sluicev1.Upload_State) string {
	return strings.TrimPrefix(state.String(), "STATE_")
}

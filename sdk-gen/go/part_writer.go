package sluice

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// A stream that has sent this much has reached the server, even if a slow link
// was cut before a part was whole.
const moreThanBuffers = 4 << 20

// part is a piece of the file that is stored as a whole.
type part struct {
	// From 0.
	index  int
	offset int64
	size   int64
	// The size of everything, if the server cannot know it yet.
	finalSize *int64
	// Content of the part. Who gets a frame owns it.
	frame func(offset int64, length int) (frame, error)
	// Called when the part is persisted.
	persisted func()
}

// partWriter gets the parts of one upload stored, in parallel. Each call sends
// one part, so that a cut costs no stream more than that.
type partWriter struct {
	transfer *transfer
	uploadID string
	epoch    int64
	partSize int64
	token    string
	// One for each parallel stream.
	lanes []*grpc.ClientConn
	// Connections that are this upload's own.
	elsewhere []*grpc.ClientConn

	mutex sync.Mutex
	// Of the parts that were read, by their index.
	checksums map[int]uint32
}

// newPartWriter writes to an upload whose size is this, or -1 while it is unknown.
func newPartWriter(t *transfer, upload *Upload, token string, total int64) (*partWriter, error) {
	size := upload.GetPartSize()
	if size < frameSize || size&(size-1) != 0 {
		return nil, newError(KindCorrupt, "the server's part size of %d bytes is none", size)
	}
	w := &partWriter{
		transfer: t, uploadID: upload.GetId(), epoch: upload.GetWriterEpoch(), partSize: size,
		token: token, checksums: map[int]uint32{},
	}
	if !sendable(token) {
		return nil, newError(KindCorrupt, "the server's upload token has characters that no token has")
	}
	connections := t.client.lanes
	if endpoint := upload.GetDataEndpoint(); endpoint != "" {
		if token == "" {
			return nil, newError(KindCorrupt, "the server sends data elsewhere but gave no token for it")
		}
		var err error
		count := min(t.options.concurrency, len(connections))
		if connections, err = t.client.settings.connect(endpoint, credential{fixed: token}, count); err != nil {
			return nil, err
		}
		w.elsewhere, w.token = connections, ""
	}
	for number := range t.options.concurrency {
		w.lanes = append(w.lanes, connections[number%len(connections)])
	}
	t.tally.opened(upload.GetId(), total, persistedBytes(upload))
	return w, nil
}

func (w *partWriter) close() { _ = closeAll(w.elsewhere) }

// run stores all parts that come, until there are none or one cannot be stored.
func (w *partWriter) run(ctx context.Context, produce func(context.Context, chan<- *part) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	parts := make(chan *part)
	go func() {
		defer close(parts)
		if err := produce(ctx, parts); err != nil {
			stop(err)
		}
	}()
	var workers sync.WaitGroup
	for _, lane := range w.lanes {
		workers.Go(func() {
			if err := w.work(ctx, lane, parts); err != nil {
				stop(err)
			}
		})
	}
	// A producer that waits for its source is left behind after a failure.
	workers.Wait()
	if ctx.Err() != nil {
		return failed(ctx, ctx.Err())
	}
	return nil
}

func (w *partWriter) work(ctx context.Context, lane *grpc.ClientConn, parts <-chan *part) error {
	for {
		select {
		case part, more := <-parts:
			if !more {
				return nil
			}
			if err := w.store(ctx, lane, part); err != nil {
				return err
			}
		case <-ctx.Done():
			return failed(ctx, ctx.Err())
		}
	}
}

// store sends a part until the server says that it is persisted.
func (w *partWriter) store(ctx context.Context, lane *grpc.ClientConn, part *part) error {
	attempts := w.transfer.client.attempts()
	for {
		before := w.transfer.tally.progress().Persisted
		upload, sent, err := w.send(ctx, lane, part)
		if err == nil && !holds(upload, part) {
			err = &Error{Kind: KindTransport, Code: codes.Unavailable, Message: "the server has not kept a part"}
		}
		if err != nil {
			// Other lanes may have had the server's attention meanwhile.
			if w.transfer.tally.progress().Persisted > before || sent > moreThanBuffers {
				attempts.progressed()
			}
			if err := attempts.wait(ctx, failed(ctx, err)); err != nil {
				return err
			}
			if upload, err = w.current(ctx); err != nil {
				return err
			}
		}
		if holds(upload, part) {
			w.transfer.tally.persisted(part.size)
			part.persisted()
			return nil
		}
	}
}

// send sends one part in one call; answers also how much it has sent.
func (w *partWriter) send(ctx context.Context, lane *grpc.ClientConn, part *part) (upload *Upload, sent int64, err error) {
	if w.token != "" {
		ctx = withCredential(ctx, w.token)
	}
	stream, sent, err := w.sendFrames(ctx, lane, part)
	if stream == nil {
		return nil, 0, err
	}
	defer stream.close()
	answer, err := stream.answerTo(err)
	return answer.GetUpload(), sent, err
}

func (w *partWriter) sendFrames(ctx context.Context, lane *grpc.ClientConn, part *part) (_ *writeStream, sent int64, err error) {
	stream, err := openWriteStream(ctx, lane)
	if err != nil {
		return nil, 0, err
	}
	request := &sluicev1.WriteUploadRequest{
		FirstMessage: &sluicev1.WriteUploadRequest_UploadId{UploadId: w.uploadID},
		WriterEpoch:  w.epoch,
		FinalSize:    part.finalSize,
	}
	whole := uint32(0)
	for sent < part.size {
		frame, err := part.frame(part.offset+sent, int(min(frameSize, part.size-sent)))
		if err != nil {
			stream.close()
			return nil, sent, err
		}
		length := frame.size()
		whole = combineCRC32C(whole, frame.crc32c, length)
		request.WriteOffset = part.offset + sent
		if err := stream.send(request, &frame); err != nil {
			return stream, sent, err
		}
		w.transfer.tally.sent(length)
		sent += length
		request = &sluicev1.WriteUploadRequest{}
	}
	w.note(part.index, whole)
	return stream, sent, nil
}

// current is the upload as the server has it, after a break. The same epoch goes
// on.
func (w *partWriter) current(ctx context.Context) (*Upload, error) {
	upload, err := w.transfer.client.GetUpload(ctx, w.uploadID)
	if err != nil {
		return nil, err
	}
	if upload.GetWriterEpoch() != w.epoch {
		return nil, &Error{
			Kind: KindServer, Code: codes.Aborted, Reason: ReasonStaleWriter,
			Message: "another process has taken over this upload",
		}
	}
	if state := upload.GetState(); state != sluicev1.Upload_STATE_ACTIVE {
		name := stateName(state)
		return nil, &Error{
			Kind: KindServer, Code: codes.FailedPrecondition, Reason: ReasonUploadNotActive,
			Message: "the upload is " + name, Metadata: map[string]string{"state": name},
		}
	}
	return upload, nil
}

// note keeps the checksum of a part, as it was read.
func (w *partWriter) note(index int, checksum uint32) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.checksums[index] = checksum
}

// fileChecksum is the checksum of the whole, once every part's is known.
func (w *partWriter) fileChecksum(size int64) (uint32, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	whole := uint32(0)
	for index, offset := 0, int64(0); offset < size; index, offset = index+1, offset+w.partSize {
		checksum, known := w.checksums[index]
		if !known {
			return 0, newError(KindCorrupt, "the server has parts that it did not list")
		}
		whole = combineCRC32C(whole, checksum, min(w.partSize, size-offset))
	}
	return whole, nil
}

// complete makes the upload a file.
func (w *partWriter) complete(ctx context.Context, size int64) (*File, error) {
	whole, err := w.fileChecksum(size)
	if err != nil {
		return nil, err
	}
	return w.transfer.complete(ctx, &sluicev1.CompleteUploadRequest{
		UploadId: w.uploadID, WriterEpoch: &w.epoch, Size: &size,
		ExpectedChecksums: w.transfer.options.expectedChecksums(whole),
	})
}

func (t *transfer) complete(ctx context.Context, request *sluicev1.CompleteUploadRequest) (*File, error) {
	if t.options.explicitName {
		request.Name = &t.options.create.Name
	}
	// Otherwise the upload keeps the choice that it was opened with.
	if t.options.create.OnConflict != sluicev1.OnConflict_ON_CONFLICT_UNSPECIFIED {
		request.OnConflict = &t.options.create.OnConflict
	}
	service := sluicev1.NewUploadServiceClient(t.client.control)
	answer, err := call(ctx, t.client, service.CompleteUpload, request)
	return answer.GetFile(), err
}

// holds tells whether the part is persisted.
func holds(upload *Upload, part *part) bool {
	for _, there := range upload.GetPersistedRanges() {
		if there.GetStart() <= part.offset && part.offset+part.size <= there.GetEnd() {
			return true
		}
	}
	return false
}

func persistedBytes(upload *Upload) (bytes int64) {
	for _, there := range upload.GetPersistedRanges() {
		bytes += there.GetEnd() - there.GetStart()
	}
	return bytes
}

package sluice

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

const (
	// What has no more than this is one call, unless another part size is asked
	// for.
	defaultPartSize = 8 << 20
	// Parallel streams, unless the caller says otherwise.
	defaultConcurrency = 4
)

// Uploaded is a file that was uploaded, and what it took.
type Uploaded struct {
	// File is the file. It may still be PROCESSING.
	File *File
	// Sent are the bytes of content handed to the network, repeats included.
	Sent int64
	// Resumed are the bytes that were stored before this call began.
	Resumed int64
	// Elapsed is the time from the call to its end.
	Elapsed time.Duration
}

// UploadOption is a choice about one upload.
type UploadOption func(*uploadOptions)

type uploadOptions struct {
	create       sluicev1.CreateUploadRequest
	explicitName bool
	expected     sluicev1.ObjectChecksums
	concurrency  int
	observe      func(Progress)
}

// WithName sets the name of the file: a relative path, separated by slashes. The
// last segment of the path unless set; other sources need one.
func WithName(name string) UploadOption {
	return func(o *uploadOptions) { o.create.Name, o.explicitName = name, true }
}

// WithContentType sets the content type, such as image/png; arbitrary bytes
// unless set.
func WithContentType(contentType string) UploadOption {
	return func(o *uploadOptions) { o.create.ContentType = contentType }
}

// WithMetadata sets the caller's own labels for the file.
func WithMetadata(metadata map[string]string) UploadOption {
	return func(o *uploadOptions) { o.create.Metadata = metadata }
}

// WithReplace takes the name over from a file that has it. Unless set, a name
// that is taken is refused with FILE_EXISTS.
func WithReplace() UploadOption {
	return func(o *uploadOptions) { o.create.OnConflict = sluicev1.OnConflict_ON_CONFLICT_REPLACE }
}

// WithPartSize sets the part size, a power of two of at least 1 MiB. Each stream
// that is cut sends at most one part again, so that small parts suit slow links.
// The server chooses unless set.
func WithPartSize(bytes int64) UploadOption {
	return func(o *uploadOptions) { o.create.PreferredPartSize = &bytes }
}

// WithConcurrency sets how many streams send parts in parallel; 4 unless set.
func WithConcurrency(streams int) UploadOption {
	return func(o *uploadOptions) { o.concurrency = max(streams, 1) }
}

// WithRequestID names this upload for good: a later call with the same id and
// the same options, even in another process, goes on with the same upload
// instead of opening another. A random one unless set.
func WithRequestID(id string) UploadOption {
	return func(o *uploadOptions) { o.create.RequestId = id }
}

// WithExpectedCRC32C declares the CRC-32C of the whole file; the one of what was
// read unless set. If it is wrong, nothing is published.
func WithExpectedCRC32C(checksum uint32) UploadOption {
	return func(o *uploadOptions) { o.expected.Crc32C = &checksum }
}

// WithExpectedSHA256 declares the SHA-256 of the whole file. The server verifies
// it after the upload, while the file is PROCESSING; if it is wrong, the file
// becomes FAILED.
func WithExpectedSHA256(digest [32]byte) UploadOption {
	return func(o *uploadOptions) { o.expected.Sha256 = digest[:] }
}

// WithExpectedBLAKE3 declares the BLAKE3 of the whole file. If it is wrong,
// nothing is published.
func WithExpectedBLAKE3(digest [32]byte) UploadOption {
	return func(o *uploadOptions) { o.expected.Blake3 = digest[:] }
}

// WithProgress has progress told whenever a part is stored, and about ten times
// a second while bytes move, never at the same time. The function must not
// block.
func WithProgress(observe func(Progress)) UploadOption {
	return func(o *uploadOptions) { o.observe = observe }
}

// Upload uploads a source and makes it a file.
//
// What the server has stored is never sent again, whatever breaks on the way.
// After an error that is Transient, or after the end of the context, Resume goes
// on with its UploadID.
func (c *Client) Upload(ctx context.Context, source Source, options ...UploadOption) (*Uploaded, error) {
	return c.transfer(ctx, source, options, func(ctx context.Context, t *transfer, content *content, reader io.Reader) (*File, error) {
		switch {
		case t.options.create.GetName() == "":
			return nil, newError(KindUsage, "only paths have a name of their own: use WithName")
		case reader != nil:
			return t.uploadStream(ctx, reader)
		case content.size <= t.options.oneCall():
			frames, err := t.framesOf(content)
			if err != nil {
				return nil, err
			}
			return t.uploadWhole(ctx, frames)
		default:
			return t.uploadParts(ctx, content)
		}
	})
}

// Resume goes on with an upload that another call or process began, from the
// same bytes. What is stored is compared with the source first and not sent
// again. It takes the upload over: whoever still writes to it is stopped. Of the
// options, WithName and WithReplace replace what the upload was opened with. An
// upload that is complete by now answers with its file.
func (c *Client) Resume(ctx context.Context, uploadID string, source Source, options ...UploadOption) (*Uploaded, error) {
	return c.transfer(ctx, source, options, func(ctx context.Context, t *transfer, content *content, reader io.Reader) (*File, error) {
		if reader != nil {
			return nil, newError(KindUsage, "a stream that is read once cannot be resumed")
		}
		upload, err := c.GetUpload(ctx, uploadID)
		if err != nil {
			return nil, err
		}
		return t.goOn(ctx, upload, content)
	})
}

// transfer is one call of Upload or Resume.
type transfer struct {
	client  *Client
	options uploadOptions
	tally   tally
}

func (c *Client) transfer(
	ctx context.Context, source Source, options []UploadOption,
	run func(context.Context, *transfer, *content, io.Reader) (*File, error),
) (*Uploaded, error) {
	began := time.Now()
	t := &transfer{client: c, options: uploadOptions{concurrency: defaultConcurrency}}
	for _, option := range options {
		option(&t.options)
	}
	if !t.options.explicitName {
		t.options.create.Name = source.name()
	}
	if t.options.create.RequestId == "" {
		t.options.create.RequestId = rand.Text()
	}
	t.tally = tally{now: Progress{Total: -1}, observe: t.options.observe}

	content, reader, closer, err := source.open()
	defer closer.Close()
	if err != nil {
		return nil, err
	}
	file, err := run(ctx, t, content, reader)
	progress := t.tally.progress()
	if err != nil {
		return nil, failed(ctx, err).withUpload(progress.UploadID)
	}
	if file == nil {
		return nil, newError(KindCorrupt, "the server's answer has no file")
	}
	return &Uploaded{File: file, Sent: progress.Sent, Resumed: progress.Resumed, Elapsed: time.Since(began)}, nil
}

// oneCall is the size up to which a file is sent in one call.
func (o *uploadOptions) oneCall() int64 {
	if o.create.PreferredPartSize != nil {
		return min(o.create.GetPreferredPartSize(), defaultPartSize)
	}
	return defaultPartSize
}

// createRequest opens an upload of this size; -1 is an unknown one.
func (o *uploadOptions) createRequest(size int64) *sluicev1.CreateUploadRequest {
	request := proto.CloneOf(&o.create)
	if size >= 0 {
		request.Size = &size
	}
	return request
}

// expectedChecksums are what the completed file must have: what the caller
// declared, and the checksum of what was read.
func (o *uploadOptions) expectedChecksums(read uint32) *sluicev1.ObjectChecksums {
	checksums := proto.CloneOf(&o.expected)
	if checksums.Crc32C == nil {
		checksums.Crc32C = &read
	}
	return checksums
}

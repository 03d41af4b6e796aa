package sluice

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// Downloaded is a file that was downloaded, and what it took.
type Downloaded struct {
	// File is the file.
	File *File
	// Received are the bytes of content that came, repeats included.
	Received int64
	// Resumed are the bytes that were there from an earlier attempt.
	Resumed int64
	// Elapsed is the time from the call to its end.
	Elapsed time.Duration
}

// DownloadOption is a choice about one download.
type DownloadOption func(*download)

// WithRange downloads so many bytes from this offset on instead of the whole
// file. What lies beyond its end is left out.
func WithRange(offset, length int64) DownloadOption {
	return func(d *download) { d.start, d.end = offset, offset+length }
}

// WithDownloadProgress has progress told about ten times a second, never at the
// same time. The function must not block.
func WithDownloadProgress(observe func(Progress)) DownloadOption {
	return func(d *download) { d.tally.observe = observe }
}

// download is one call of Download or DownloadTo.
type download struct {
	client *Client
	file   *File
	began  time.Time
	// What is wanted.
	start, end int64
	tally      tally
}

// Download downloads a file to path.
//
// The bytes go to path.part first. If there is one from an earlier attempt, only
// what it lacks is fetched. The whole is verified and made durable before it
// takes its name, replacing what was there.
func (c *Client) Download(ctx context.Context, fileID, path string, options ...DownloadOption) (*Downloaded, error) {
	d, err := c.download(ctx, fileID, options)
	if err != nil {
		return nil, err
	}
	partial, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, newError(KindLocal, "cannot write: %w", err)
	}
	defer partial.Close()
	resumed, err := d.fill(ctx, partial)
	if err != nil {
		return nil, failed(ctx, err)
	}
	if err := publish(partial, path); err != nil {
		return nil, newError(KindLocal, "cannot write: %w", err)
	}
	return d.done(resumed), nil
}

// DownloadTo downloads a file to a writer. Every piece was verified before it is
// written; whether the whole is right is only known at the end.
func (c *Client) DownloadTo(ctx context.Context, fileID string, writer io.Writer, options ...DownloadOption) (*Downloaded, error) {
	d, err := c.download(ctx, fileID, options)
	if err != nil {
		return nil, err
	}
	checksum, err := d.receive(ctx, writer, d.start, 0)
	if err != nil {
		return nil, failed(ctx, err)
	}
	if !d.correct(checksum) {
		return nil, d.corrupt()
	}
	return d.done(0), nil
}

func (c *Client) download(ctx context.Context, fileID string, options []DownloadOption) (*download, error) {
	d := &download{client: c, began: time.Now(), end: -1}
	for _, option := range options {
		option(d)
	}
	if d.start < 0 || d.end != -1 && d.end < d.start {
		return nil, newError(KindUsage, "a range has an offset and a length that are not negative")
	}
	file, err := c.Get(ctx, fileID)
	if err != nil {
		return nil, err
	}
	d.file = file
	if d.end == -1 || d.end > file.GetSize() {
		d.end = file.GetSize()
	}
	d.start = min(d.start, d.end)
	d.tally.now.Total = d.end - d.start
	return d, nil
}

// fill makes the partial file whole. Answers how much was there.
func (d *download) fill(ctx context.Context, partial *os.File) (resumed int64, err error) {
	checksum := uint32(0)
	if d.whole() {
		if resumed, checksum, err = d.inspect(ctx, partial); err != nil {
			return 0, err
		}
	}
	for {
		if err := truncate(partial, resumed); err != nil {
			return 0, newError(KindLocal, "cannot write: %w", err)
		}
		d.tally.change(true, func(p *Progress) { p.Resumed, d.tally.there = resumed, resumed })
		checksum, err = d.receive(ctx, partial, d.start+resumed, checksum)
		switch {
		case err != nil && d.tally.progress().Persisted == 0:
			return 0, errors.Join(err, os.Remove(partial.Name()))
		case err != nil:
			return 0, err
		case d.correct(checksum):
			return resumed, nil
		case resumed == 0:
			return 0, errors.Join(d.corrupt(), os.Remove(partial.Name()))
		}
		// What was there came from something else.
		resumed, checksum = 0, 0
	}
}

// inspect tells how much of the partial file is of use, and its checksum.
func (d *download) inspect(ctx context.Context, partial *os.File) (int64, uint32, error) {
	about, err := partial.Stat()
	if err != nil {
		return 0, 0, newError(KindLocal, "cannot read: %w", err)
	}
	if about.Size() > d.file.GetSize() {
		return 0, 0, nil
	}
	there := &content{at: partial, size: about.Size(), name: partial.Name()}
	checksum, err := there.checksum(ctx, 0, about.Size())
	return about.Size(), checksum, err
}

// receive writes from an offset to the end. Answers with the checksum of all
// that came before, continued.
func (d *download) receive(ctx context.Context, writer io.Writer, offset int64, checksum uint32) (uint32, error) {
	attempts := d.client.attempts()
	for offset < d.end {
		err := d.client.readFile(ctx, d.file.GetId(), offset, d.end-offset, func(data []byte, own uint32) error {
			if _, err := writer.Write(data); err != nil {
				return newError(KindLocal, "cannot write: %w", err)
			}
			length := int64(len(data))
			checksum = combineCRC32C(checksum, own, length)
			offset += length
			attempts.progressed()
			d.tally.change(offset == d.end, func(p *Progress) {
				p.Sent += length
				d.tally.there += length
			})
			return nil
		})
		if err == nil && offset < d.end {
			err = &Error{Kind: KindTransport, Message: "the stream ended early"}
		}
		if err != nil {
			if err := attempts.wait(ctx, failed(ctx, err)); err != nil {
				return 0, err
			}
		}
	}
	return checksum, nil
}

// readFile receives a range, verified piece by piece.
func (c *Client) readFile(ctx context.Context, fileID string, offset, limit int64, use func([]byte, uint32) error) error {
	ctx, dog := watched(ctx, stall)
	defer dog.stop()
	service := sluicev1.NewFileServiceClient(c.lane())
	stream, err := service.ReadFile(ctx, &sluicev1.ReadFileRequest{FileId: fileID, Offset: offset, Limit: limit})
	if err != nil {
		return failed(ctx, err)
	}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return failed(ctx, err)
		}
		dog.moved()
		data := message.GetChecksummedData()
		if len(data.GetContent()) == 0 {
			continue
		}
		checksum := crc32c(data.GetContent())
		if message.GetReadOffset() != offset || data.Crc32C == nil || data.GetCrc32C() != checksum {
			return &Error{Kind: KindTransport, Message: "a frame arrived damaged"}
		}
		if err := use(data.GetContent(), checksum); err != nil {
			return err
		}
		dog.moved() // A writer may take its time.
		offset += int64(len(data.GetContent()))
	}
}

func (d *download) whole() bool { return d.start == 0 && d.end == d.file.GetSize() }

func (d *download) correct(checksum uint32) bool {
	expected := d.file.GetChecksums()
	return !d.whole() || expected == nil || expected.Crc32C == nil || expected.GetCrc32C() == checksum
}

func (d *download) corrupt() error {
	return newError(KindCorrupt, "what arrived is not %s: its checksum differs; try again", d.file.GetName())
}

func (d *download) done(resumed int64) *Downloaded {
	return &Downloaded{
		File: d.file, Received: d.tally.progress().Sent, Resumed: resumed, Elapsed: time.Since(d.began),
	}
}

func truncate(file *os.File, size int64) error {
	if err := file.Truncate(size); err != nil {
		return err
	}
	_, err := file.Seek(size, io.SeekStart)
	return err
}

// publish makes the partial file durable under its name.
func publish(partial *os.File, path string) error {
	if err := errors.Join(partial.Sync(), partial.Close()); err != nil {
		return err
	}
	if err := os.Rename(partial.Name(), path); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // Folders cannot be synced there.
	}
	// A rename is durable once the folder is.
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

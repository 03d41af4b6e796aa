package sluice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Source is where the bytes of an upload come from: see Path, Bytes, ReaderAt
// and Reader.
type Source struct {
	path   string
	at     io.ReaderAt
	size   int64
	reader io.Reader
}

// Path is a file. A pipe or device is read as a stream.
func Path(path string) Source { return Source{path: path} }

// Bytes are bytes in memory, which must not change meanwhile.
func Bytes(content []byte) Source {
	return ReaderAt(bytes.NewReader(content), int64(len(content)))
}

// ReaderAt is content of a known size that can be read anywhere, again and
// again, by several goroutines.
func ReaderAt(reader io.ReaderAt, size int64) Source { return Source{at: reader, size: size} }

// Reader is a stream that ends when it ends, such as os.Stdin. It is read once;
// each part is kept in memory until it is known to be stored. If it is an
// io.Closer, it is not closed. A Read that is under way when the upload fails is
// left to end by itself.
func Reader(reader io.Reader) Source { return Source{reader: reader} }

func (s Source) name() string {
	if s.path == "" {
		return ""
	}
	return filepath.Base(s.path)
}

// open answers with a reader instead of content if the size is unknown. Close
// what it answers with last, also after an error.
func (s Source) open() (*content, io.Reader, io.Closer, error) {
	switch {
	case s.at != nil:
		return &content{at: s.at, size: s.size, name: "the content"}, nil, io.NopCloser(nil), nil
	case s.reader != nil:
		return nil, s.reader, io.NopCloser(nil), nil
	}
	file, err := os.Open(s.path)
	if err != nil {
		return nil, nil, io.NopCloser(nil), newError(KindLocal, "cannot read: %w", err)
	}
	about, err := file.Stat()
	switch {
	case err != nil:
		return nil, nil, file, newError(KindLocal, "cannot read: %w", err)
	case about.IsDir():
		return nil, nil, file, newError(KindLocal, "cannot read %s: it is a folder", s.path)
	case !about.Mode().IsRegular():
		return nil, file, file, nil
	}
	return &content{at: file, size: about.Size(), name: s.path, file: file, modified: about.ModTime()}, nil, file, nil
}

// content is bytes whose number is known and that can be read again.
type content struct {
	at   io.ReaderAt
	size int64
	name string
	// Of a file.
	file     *os.File
	modified time.Time
}

// frame reads exactly so many bytes, within the size.
func (c *content) frame(offset int64, length int) (frame, error) {
	buffer := framePool.Get(length)
	if read, err := c.at.ReadAt(*buffer, offset); read < length {
		framePool.Put(buffer)
		if errors.Is(err, io.EOF) {
			return frame{}, c.changed("has changed while it was being uploaded")
		}
		return frame{}, newError(KindLocal, "cannot read: %w", err)
	}
	return newFrame(buffer), nil
}

// checksum reads a range.
func (c *content) checksum(ctx context.Context, offset, end int64) (uint32, error) {
	whole := uint32(0)
	for offset < end {
		if ctx.Err() != nil {
			return 0, failed(ctx, ctx.Err())
		}
		frame, err := c.frame(offset, int(min(frameSize, end-offset)))
		if err != nil {
			return 0, err
		}
		whole = combineCRC32C(whole, frame.crc32c, frame.size())
		offset += frame.size()
		frame.content.Free()
	}
	return whole, nil
}

// unchanged refuses if somebody wrote to the file since it was opened. A file
// that was put in its place does not matter: this one stays open.
func (c *content) unchanged() error {
	if c.file == nil {
		return nil
	}
	about, err := c.file.Stat()
	if err != nil {
		return newError(KindLocal, "cannot read: %w", err)
	}
	if about.Size() != c.size || !about.ModTime().Equal(c.modified) {
		return c.changed("has changed while it was being uploaded")
	}
	return nil
}

func (c *content) changed(how string, arguments ...any) error {
	return newError(KindSourceChanged, "%s %s; nothing was published, start a new upload for it",
		c.name, fmt.Sprintf(how, arguments...))
}

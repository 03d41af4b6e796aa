package sluice_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	sluice "github.com/sluice-dev/sluice/sdk-gen/go"
	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

var background = context.Background()

func TestEverySourceOfEverySizeArrives(t *testing.T) {
	t.Parallel()
	client := startServer(t).client()
	for _, size := range []int{0, 1, mib, 8 * mib, 8*mib + 1, 17*mib + 3} {
		content := random(size)
		for name, source := range map[string]sluice.Source{
			"path":   sluice.Path(written(t, content)),
			"bytes":  sluice.Bytes(content),
			"at":     sluice.ReaderAt(bytes.NewReader(content), int64(size)),
			"stream": sluice.Reader(io.MultiReader(bytes.NewReader(content))),
		} {
			var told []sluice.Progress
			options := []sluice.UploadOption{
				sluice.WithName(name), sluice.WithReplace(), sluice.WithContentType("image/png"),
				sluice.WithMetadata(map[string]string{"a": "b"}),
				sluice.WithProgress(func(p sluice.Progress) { told = append(told, p) }),
			}
			uploaded, err := client.Upload(background, source, options...)
			check(t, err)
			equal(t, uploaded.File.GetName(), name)
			equal(t, uploaded.File.GetContentType(), "image/png")
			equal(t, uploaded.File.GetMetadata()["a"], "b")
			equal(t, uploaded.Sent, int64(size))
			stored(t, client, uploaded.File, content)
			last := told[len(told)-1]
			equal(t, last, sluice.Progress{
				UploadID: uploaded.File.GetUploadId(), Total: int64(size), Persisted: int64(size), Sent: int64(size),
			})
			for i := 1; i < len(told); i++ {
				if told[i].Persisted < told[i-1].Persisted || told[i].Total >= 0 && told[i].Persisted > told[i].Total {
					t.Fatalf("progress went from %+v to %+v", told[i-1], told[i])
				}
			}
		}
	}
}

func TestStreamsOfAllPartSizesArrive(t *testing.T) {
	t.Parallel()
	client := startServer(t).client()
	for _, size := range []int{mib + 1, 9 * mib, 12*mib + 5} {
		for _, partSize := range []int64{mib, 4 * mib} {
			content := random(size)
			uploaded, err := client.Upload(background, sluice.Reader(io.MultiReader(bytes.NewReader(content))),
				sluice.WithName("s"), sluice.WithReplace(), sluice.WithPartSize(partSize), sluice.WithConcurrency(2))
			check(t, err)
			stored(t, client, uploaded.File, content)
		}
	}
}

func TestAStreamIsNotReadFarAhead(t *testing.T) {
	t.Parallel()
	client := startServer(t).client()
	const size, partSize, concurrency = 64 * mib, mib, 2
	var mutex sync.Mutex
	read, persisted, furthest := 0, 0, 0
	content := random(size)
	source := sluice.Reader(readerFunc(func(buffer []byte) (int, error) {
		mutex.Lock()
		defer mutex.Unlock()
		count := copy(buffer, content[read:])
		if count == 0 {
			return 0, io.EOF
		}
		read += count
		furthest = max(furthest, read-persisted)
		return count, nil
	}))
	uploaded, err := client.Upload(background, source, sluice.WithName("s"), sluice.WithPartSize(partSize),
		sluice.WithConcurrency(concurrency), sluice.WithProgress(func(p sluice.Progress) {
			mutex.Lock()
			defer mutex.Unlock()
			persisted = int(p.Persisted)
		}))
	check(t, err)
	stored(t, client, uploaded.File, content)
	if most := (concurrency+1)*partSize + 2*mib; furthest > most {
		t.Fatalf("%d bytes were in memory", furthest)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(buffer []byte) (int, error) { return f(buffer) }

func TestALargeFileNeedsLittleMemory(t *testing.T) {
	client := startServer(t).client()
	path := filepath.Join(t.TempDir(), "sparse")
	file, err := os.Create(path)
	check(t, err)
	check(t, file.Truncate(256*mib))
	check(t, file.Close())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = client.Upload(background, sluice.Path(path))
	check(t, err)
	runtime.ReadMemStats(&after)
	if more := after.Sys - before.Sys; more > 64*mib {
		t.Fatalf("%d MiB", more/mib)
	}
}

func TestNamesThatAreTakenAndBadNamesAreRefused(t *testing.T) {
	t.Parallel()
	client := startServer(t).client()
	for _, content := range [][]byte{random(10), random(9 * mib)} {
		first, err := client.Upload(background, sluice.Bytes(content), sluice.WithName("taken"), sluice.WithReplace())
		check(t, err)
		_, err = client.Upload(background, sluice.Bytes(content), sluice.WithName("taken"))
		var failure *sluice.Error
		if !errors.As(err, &failure) || !errors.Is(err, sluice.ReasonFileExists) || !errors.Is(err, sluice.KindServer) {
			t.Fatalf("%v", err)
		}
		equal(t, failure.Code, codes.AlreadyExists)
		equal(t, failure.Metadata["file_id"], first.File.GetId())
		equal(t, failure.Transient(), false)

		_, err = client.Upload(background, sluice.Bytes(content), sluice.WithName("a/../b"))
		if !errors.As(err, &failure) || failure.Reason != sluice.ReasonInvalidField ||
			len(failure.Violations) != 1 || failure.Violations[0].Field != "name" {
			t.Fatalf("%v", err)
		}
	}
	_, err := client.Upload(background, sluice.Bytes(nil))
	equal(t, errors.Is(err, sluice.KindUsage), true)
	_, err = client.Upload(background, sluice.Path("no such file"))
	equal(t, errors.Is(err, sluice.KindLocal) && errors.Is(err, fs.ErrNotExist), true)
}

func TestWrongChecksumsPublishNothing(t *testing.T) {
	t.Parallel()
	client := startServer(t).client()
	content := random(9 * mib)
	_, err := client.Upload(background, sluice.Bytes(content), sluice.WithName("crc"), sluice.WithExpectedCRC32C(1))
	equal(t, errors.Is(err, sluice.ReasonFileChecksumMismatch), true)
	_, err = client.Find(background, "crc")
	equal(t, errors.Is(err, sluice.ReasonFileNotFound), true)

	right, err := client.Upload(background, sluice.Bytes(content), sluice.WithName("right"),
		sluice.WithExpectedSHA256(sha256.Sum256(content)))
	check(t, err)
	wrong, err := client.Upload(background, sluice.Bytes(content), sluice.WithName("wrong"),
		sluice.WithExpectedSHA256([32]byte{1}))
	check(t, err)
	for id, state := range map[string]sluicev1.File_State{
		right.File.GetId(): sluicev1.File_STATE_READY, wrong.File.GetId(): sluicev1.File_STATE_FAILED,
	} {
		eventually(t, state.String(), func() bool {
			file, err := client.Get(background, id)
			check(t, err)
			return file.GetState() == state
		})
	}
}

// stopped uploads some of it and is cancelled; answers with the upload.
func stopped(t *testing.T, client *sluice.Client, source sluice.Source, options ...sluice.UploadOption) string {
	t.Helper()
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	options = append(options, sluice.WithPartSize(mib), sluice.WithProgress(func(p sluice.Progress) {
		if p.Persisted >= 4*mib {
			cancel()
		}
	}))
	_, err := client.Upload(ctx, source, options...)
	var failure *sluice.Error
	if !errors.As(err, &failure) || failure.Kind != sluice.KindCancelled || !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	return failure.UploadID
}

func TestAnotherProcessGoesOn(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	content := random(40 * mib)
	path := written(t, content)
	uploadID := stopped(t, s.client(), sluice.Path(path), sluice.WithName("resumed"))
	client := s.client()
	uploaded, err := client.Resume(background, uploadID, sluice.Path(path))
	check(t, err)
	equal(t, uploaded.Resumed >= 4*mib, true)
	equal(t, uploaded.Resumed+uploaded.Sent, int64(len(content)))
	equal(t, uploaded.File.GetName(), "resumed")
	stored(t, client, uploaded.File, content)

	// Once it is complete, the same call answers with the same file.
	again, err := client.Resume(background, uploadID, sluice.Path(path))
	check(t, err)
	equal(t, again.File.GetId(), uploaded.File.GetId())
	equal(t, again.Sent, 0)
	equal(t, again.Resumed, int64(len(content)))
	_, err = client.Resume(background, uploadID, sluice.Bytes(random(len(content)-1)))
	equal(t, errors.Is(err, sluice.KindSourceChanged), true)
	content[7]++
	_, err = client.Resume(background, uploadID, sluice.Bytes(content))
	equal(t, errors.Is(err, sluice.KindSourceChanged), true)
}

func TestARequestIDFindsItsUploadAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	content := random(40 * mib)
	id := sluice.WithRequestID("request-1")
	stopped(t, s.client(), sluice.Bytes(content), sluice.WithName("same"), id)
	uploaded, err := s.client().Upload(background, sluice.Bytes(content), sluice.WithName("same"), id, sluice.WithPartSize(mib))
	check(t, err)
	equal(t, uploaded.Resumed >= 4*mib, true)
	equal(t, uploaded.Resumed+uploaded.Sent, int64(len(content)))
	again, err := s.client().Upload(background, sluice.Bytes(content), sluice.WithName("same"), id, sluice.WithPartSize(mib))
	check(t, err)
	equal(t, again.File.GetId(), uploaded.File.GetId())
	_, err = s.client().Upload(background, sluice.Bytes(content), sluice.WithName("other"), id, sluice.WithPartSize(mib))
	equal(t, errors.Is(err, sluice.ReasonRequestIDReused), true)
}

func TestASourceThatHasChangedIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	content := random(40 * mib)
	uploadID := stopped(t, s.client(), sluice.Bytes(content), sluice.WithName("changed"))
	content[5]++
	_, err := s.client().Resume(background, uploadID, sluice.Bytes(content))
	equal(t, errors.Is(err, sluice.KindSourceChanged), true)
	_, err = s.client().Find(background, "changed")
	equal(t, errors.Is(err, sluice.ReasonFileNotFound), true)

	// Meanwhile.
	path := written(t, content)
	touched := false
	_, err = s.client().Upload(background, sluice.Path(path), sluice.WithProgress(func(sluice.Progress) {
		if !touched {
			touched = true
			later := time.Now().Add(time.Hour)
			check(t, os.Chtimes(path, later, later))
		}
	}))
	equal(t, errors.Is(err, sluice.KindSourceChanged), true)
	check(t, os.Truncate(path, 39*mib))
	short := sluice.ReaderAt(bytes.NewReader(content[:39*mib]), int64(len(content)))
	_, err = s.client().Upload(background, short, sluice.WithName("short"))
	equal(t, errors.Is(err, sluice.KindSourceChanged), true)
}

func TestWhoeverTakesAnUploadOverStopsTheOther(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := newProxy(t, s.address())
	p.rate = 8 * mib
	content := random(32 * mib)
	ids := make(chan string, 1)
	var once sync.Once
	done := make(chan error)
	go func() {
		_, err := through(t, s, p).Upload(background, sluice.Bytes(content), sluice.WithName("two"),
			sluice.WithPartSize(mib), sluice.WithProgress(func(p sluice.Progress) {
				if p.Persisted > mib {
					once.Do(func() { ids <- p.UploadID })
				}
			}))
		done <- err
	}()
	uploadID := <-ids
	uploaded, err := s.client().Resume(background, uploadID, sluice.Bytes(content))
	check(t, err)
	err = <-done
	var failure *sluice.Error
	taken := errors.Is(err, sluice.ReasonStaleWriter) || errors.Is(err, sluice.ReasonUploadNotActive)
	if !taken || !errors.As(err, &failure) || failure.UploadID != uploadID {
		t.Fatalf("%v", err)
	}
	stored(t, s.client(), uploaded.File, content)
}

func TestUploadsAreListedAndCancelled(t *testing.T) {
	t.Parallel()
	client := startServer(t).client()
	uploadID := stopped(t, client, sluice.Bytes(random(40*mib)), sluice.WithName("a"))
	parts := 0
	for part, err := range client.UploadParts(background, uploadID) {
		check(t, err)
		equal(t, part.GetSize(), mib)
		parts++
	}
	equal(t, parts >= 4, true)
	var listed []string
	for upload, err := range client.Uploads(background, sluicev1.Upload_STATE_ACTIVE) {
		check(t, err)
		listed = append(listed, upload.GetId())
	}
	equal(t, len(listed), 1)
	equal(t, listed[0], uploadID)
	for range 2 {
		upload, err := client.CancelUpload(background, uploadID)
		check(t, err)
		equal(t, upload.GetState(), sluicev1.Upload_STATE_CANCELLED)
	}
	_, err := client.Resume(background, uploadID, sluice.Bytes(random(40*mib)))
	equal(t, errors.Is(err, sluice.ReasonUploadNotActive), true)
}

func TestAQuotaIsTold(t *testing.T) {
	t.Parallel()
	client := startServer(t, "SLUICE__QUOTA__MAX_BYTES=10MiB").client()
	_, err := client.Upload(background, sluice.Bytes(random(11*mib)), sluice.WithName("a"))
	var failure *sluice.Error
	if !errors.As(err, &failure) || failure.Reason != sluice.ReasonQuotaExceeded || failure.Transient() {
		t.Fatalf("%v", err)
	}
	equal(t, failure.Code, codes.ResourceExhausted)
}

package sluice_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sluice "github.com/sluice-dev/sluice/sdk-gen/go"
	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// through is a client of the server behind the proxy.
func through(t *testing.T, s *server, p *proxy, options ...sluice.ClientOption) *sluice.Client {
	t.Helper()
	return connect(t, p.url(), append([]sluice.ClientOption{sluice.WithAPIKey(s.secret("api-key"))}, options...)...)
}

func TestCutsCostAtMostOnePartForEachStream(t *testing.T) {
	t.Parallel()
	const size, partSize, lanes, cuts = 48 * mib, mib, 3, 5
	for name, source := range map[string]func([]byte) sluice.Source{
		"path":   func(content []byte) sluice.Source { return sluice.Path(written(t, content)) },
		"stream": func(content []byte) sluice.Source { return sluice.Reader(io.MultiReader(bytes.NewReader(content))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			p := newProxy(t, s.address())
			p.cutEvery, p.nextCut, p.cutsLeft = 6*mib, 6*mib, cuts
			client := through(t, s, p)
			content := random(size)
			uploaded, err := client.Upload(context.Background(), source(content),
				sluice.WithName("cut"), sluice.WithPartSize(partSize), sluice.WithConcurrency(lanes))
			check(t, err)
			stored(t, s.client(), uploaded.File, content)
			sent, made, _ := p.look()
			equal(t, made, cuts)
			// HTTP/2 and gRPC need some bytes of their own.
			if most := int64(size + cuts*lanes*partSize + size/100); sent > most {
				t.Fatalf("%d bytes passed, and at most %d were to", sent, most)
			}
		})
	}
}

func TestOneCallIsCutAndMadeAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := newProxy(t, s.address())
	p.cutEvery, p.nextCut, p.cutsLeft = mib, mib, 3
	content := random(3 * mib)
	uploaded, err := through(t, s, p).Upload(context.Background(), sluice.Bytes(content), sluice.WithName("one call"))
	check(t, err)
	stored(t, s.client(), uploaded.File, content)
	if uploaded.Sent <= int64(len(content)) {
		t.Fatal("nothing was sent again, so that nothing was cut")
	}
}

func TestAStallIsNoticed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := newProxy(t, s.address())
	p.stallAt = 10 * mib
	content := random(24 * mib)
	began := time.Now()
	uploaded, err := through(t, s, p).Upload(context.Background(), sluice.Bytes(content),
		sluice.WithName("stalled"), sluice.WithPartSize(mib))
	check(t, err)
	if _, _, stalls := p.look(); stalls == 0 {
		t.Fatal("nothing was stalled")
	}
	if took := time.Since(began); took > 40*time.Second {
		t.Fatalf("it took %s", took)
	}
	stored(t, s.client(), uploaded.File, content)
}

func TestADamagedFrameIsSentAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := newProxy(t, s.address())
	p.damageAt = 5*mib + 7777
	content := random(12 * mib)
	uploaded, err := through(t, s, p).Upload(context.Background(), sluice.Bytes(content),
		sluice.WithName("damaged"), sluice.WithPartSize(mib))
	check(t, err)
	if uploaded.Sent <= int64(len(content)) {
		t.Fatal("nothing was sent again, so that nothing was damaged")
	}
	stored(t, s.client(), uploaded.File, content)
}

func TestARestartOfTheServerIsRiddenOut(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := newProxy(t, s.address())
	p.rate = 16 * mib
	content := random(32 * mib)
	began := make(chan struct{})
	var once atomic.Bool
	go func() {
		<-began
		s.kill()
		time.Sleep(500 * time.Millisecond)
		s.start(s.address())
	}()
	uploaded, err := through(t, s, p).Upload(context.Background(), sluice.Bytes(content),
		sluice.WithName("restart"), sluice.WithPartSize(mib), sluice.WithProgress(func(p sluice.Progress) {
			if p.Persisted > 4*mib && once.CompareAndSwap(false, true) {
				close(began)
			}
		}))
	check(t, err)
	stored(t, s.client(), uploaded.File, content)
}

// loses the first reply to a method, which the server has carried out.
func loses(method string) (sluice.ClientOption, *atomic.Int32) {
	lost := &atomic.Int32{}
	lose := func(err error) error {
		if err == nil && lost.Add(1) == 1 {
			return status.Error(codes.Unavailable, "the reply was lost")
		}
		return err
	}
	unary := func(ctx context.Context, called string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		err := invoke(ctx, called, request, reply, conn, options...)
		if called == method {
			return lose(err)
		}
		return err
	}
	stream := func(ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, called string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
		opened, err := open(ctx, description, conn, called, options...)
		if called == method && err == nil {
			return &lossyStream{opened, lose}, nil
		}
		return opened, err
	}
	return sluice.WithDialOptions(grpc.WithChainUnaryInterceptor(unary), grpc.WithChainStreamInterceptor(stream)), lost
}

type lossyStream struct {
	grpc.ClientStream
	lose func(error) error
}

func (s *lossyStream) RecvMsg(message any) error { return s.lose(s.ClientStream.RecvMsg(message)) }

func TestLostRepliesMakeNoSecondFile(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for method, content := range map[string][]byte{
		sluicev1.UploadService_CreateUpload_FullMethodName:   random(9*mib + 1),
		sluicev1.UploadService_CompleteUpload_FullMethodName: random(9*mib + 2),
		sluicev1.UploadService_WriteUpload_FullMethodName:    random(mib + 3),
	} {
		option, lost := loses(method)
		client := s.client(option)
		uploaded, err := client.Upload(context.Background(), sluice.Bytes(content), sluice.WithName(method[1:]))
		check(t, err)
		if lost.Load() < 2 {
			t.Fatalf("%s was called once", method)
		}
		stored(t, client, uploaded.File, content)
	}
	count := 0
	for _, err := range s.client().List(context.Background()) {
		check(t, err)
		count++
	}
	equal(t, count, 3)

	option, _ := loses(sluicev1.FileService_DeleteFile_FullMethodName)
	file, err := s.client().Find(context.Background(), sluicev1.UploadService_WriteUpload_FullMethodName[1:])
	check(t, err)
	check(t, s.client(option).Delete(context.Background(), file.GetId()))
}

func TestDownloadsGoOnAfterCuts(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	content := random(20*mib + 5)
	uploaded, err := s.client().Upload(context.Background(), sluice.Bytes(content), sluice.WithName("d"))
	check(t, err)
	p := newProxy(t, s.address())
	path := filepath.Join(t.TempDir(), "d")
	cuts := 0
	downloaded, err := through(t, s, p).Download(context.Background(), uploaded.File.GetId(), path,
		sluice.WithDownloadProgress(func(progress sluice.Progress) {
			if cuts < 3 && progress.Persisted > int64(cuts+1)*2*mib {
				cuts++
				p.mutex.Lock()
				p.closeAll()
				p.mutex.Unlock()
			}
		}))
	check(t, err)
	equal(t, downloaded.Received, int64(len(content)))
	there, err := os.ReadFile(path)
	check(t, err)
	equal(t, bytes.Equal(there, content), true)
	if cuts == 0 {
		t.Fatal("nothing was cut")
	}
}

func TestItGivesUpAfterTheTimeWithoutProgress(t *testing.T) {
	t.Parallel()
	client := connect(t, "http://127.0.0.1:1", sluice.WithGiveUpAfter(1500*time.Millisecond))
	began := time.Now()
	_, err := client.Upload(context.Background(), sluice.Bytes(random(9*mib)), sluice.WithName("a"))
	var failure *sluice.Error
	if !errors.As(err, &failure) || failure.Kind != sluice.KindTransport || !failure.Transient() {
		t.Fatalf("%v", err)
	}
	if took := time.Since(began); took > 3*time.Second || took < 500*time.Millisecond {
		t.Fatalf("gave up after %s", took)
	}
}

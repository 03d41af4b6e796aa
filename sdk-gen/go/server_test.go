package sluice_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	sluice "github.com/sluice-dev/sluice/sdk-gen/go"
)

const mib = 1 << 20

// server is a real one, as it is shipped.
type server struct {
	t       *testing.T
	folder  string
	env     []string
	url     string
	command *exec.Cmd
}

func startServer(t *testing.T, env ...string) *server {
	t.Helper()
	s := &server{t: t, folder: t.TempDir(), env: env}
	s.start("127.0.0.1:0")
	t.Cleanup(s.kill)
	return s
}

func (s *server) start(listen string) {
	s.t.Helper()
	binary := os.Getenv("SLUICE_BIN")
	if binary == "" {
		s.t.Fatal("SLUICE_BIN must be set to a sluice binary")
	}
	s.command = exec.Command(binary, "serve", "--data-dir", s.folder, "--listen", listen)
	s.command.Env = append(os.Environ(), s.env...)
	// It ends with the tests, whatever becomes of them.
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.command.StdoutPipe()
	check(s.t, err)
	check(s.t, s.command.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, found := strings.CutPrefix(lines.Text(), "listening on "); found {
			s.url = url
			return
		}
	}
	s.t.Fatal("the server has not started")
}

func (s *server) kill() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

func (s *server) address() string {
	return strings.TrimPrefix(strings.TrimPrefix(s.url, "http://"), "https://")
}

func (s *server) secret(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.folder, name))
	check(s.t, err)
	return strings.TrimSpace(string(text))
}

// client has the operator's API key.
func (s *server) client(options ...sluice.ClientOption) *sluice.Client {
	s.t.Helper()
	return connect(s.t, s.url, append([]sluice.ClientOption{sluice.WithAPIKey(s.secret("api-key"))}, options...)...)
}

func connect(t *testing.T, url string, options ...sluice.ClientOption) *sluice.Client {
	t.Helper()
	client, err := sluice.NewClient(url, options...)
	check(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v instead of %v", got, want)
	}
}

// random is content that is the same for the same size.
func random(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(content)
	return content
}

func written(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source.bin")
	check(t, os.WriteFile(path, content, 0o600))
	return path
}

// stored fails unless the server has exactly this content for the file.
func stored(t *testing.T, client *sluice.Client, file *sluice.File, content []byte) {
	t.Helper()
	var there bytes.Buffer
	_, err := client.DownloadTo(context.Background(), file.GetId(), &there)
	check(t, err)
	if sha256.Sum256(there.Bytes()) != sha256.Sum256(content) {
		t.Fatalf("the %d bytes of %s are not those that were uploaded", there.Len(), file.GetName())
	}
}

// eventually waits until it is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 600 {
		if is() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("never happened: %s", what)
}

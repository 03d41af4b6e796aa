package sluice

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"os"
	"regexp"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

func TestChecksumsCombine(t *testing.T) {
	content := make([]byte, 3<<20)
	for i := range content {
		content[i] = byte(i * i >> 3)
	}
	for _, at := range []int{0, 1, 2, 255, 1 << 20, 1<<20 + 1, len(content) - 1, len(content)} {
		first, second := crc32c(content[:at]), crc32c(content[at:])
		if combineCRC32C(first, second, int64(len(content)-at)) != crc32c(content) {
			t.Fatalf("split at %d", at)
		}
	}
	// 1 TiB of zeros, doubled from 1 MiB, is the same in one step.
	doubled := crc32.Checksum(make([]byte, 1<<20), castagnoli)
	for length := int64(1 << 20); length < 1<<40; length *= 2 {
		doubled = combineCRC32C(doubled, doubled, length)
	}
	shifted := combineCRC32C(0, doubled, 1<<40)
	if shifted != doubled || doubled == 0 {
		t.Fatal("1 TiB")
	}
}

func TestAMessageIsTheSameWithAndWithoutCopying(t *testing.T) {
	for _, length := range []int{1, 1000, 70_000, frameSize} {
		buffer := framePool.Get(length)
		copy(*buffer, bytes.Repeat([]byte{7, 3}, length))
		frame := newFrame(buffer)
		request := &sluicev1.WriteUploadRequest{
			FirstMessage: &sluicev1.WriteUploadRequest_UploadId{UploadId: "upl_1"},
			WriterEpoch:  7, WriteOffset: 1 << 40, FinalSize: proto.Int64(9), Complete: true,
		}
		pieces, err := newFrameCodec().Marshal(&outgoing{request, &frame})
		if err != nil {
			t.Fatal(err)
		}
		decoded := &sluicev1.WriteUploadRequest{}
		if err := newFrameCodec().Unmarshal(pieces, decoded); err != nil {
			t.Fatal(err)
		}
		checksum := crc32c(frame.content.ReadOnlyData())
		request.ChecksummedData = &sluicev1.ChecksummedData{Content: frame.content.ReadOnlyData(), Crc32C: &checksum}
		if !proto.Equal(decoded, request) {
			t.Fatalf("%d bytes", length)
		}
	}
}

func refusal(code codes.Code, reason string, metadata map[string]string, more ...protoadapt.MessageV1) *Error {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: "sluice.v1", Metadata: metadata}
	with, err := status.New(code, "refused").WithDetails(append([]protoadapt.MessageV1{info}, more...)...)
	if err != nil {
		panic(err)
	}
	return failed(context.Background(), with.Err())
}

func TestARefusalKeepsItsReasonAndFacts(t *testing.T) {
	e := refusal(codes.InvalidArgument, "INVALID_FIELD", map[string]string{"upload_id": "upl_1"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "name", Description: "too long"}}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(3 * time.Second)})
	if e.Kind != KindServer || e.Reason != ReasonInvalidField || e.UploadID != "upl_1" ||
		e.Violations[0] != (Violation{"name", "too long"}) || e.RetryAfter != 3*time.Second {
		t.Fatalf("%+v", e)
	}
	if !errors.Is(e, ReasonInvalidField) || !errors.Is(e, KindServer) || errors.Is(e, KindLocal) {
		t.Fatal("errors.Is")
	}
}

func TestOnlyWhatMayPassIsTransient(t *testing.T) {
	for _, row := range []struct {
		code      codes.Code
		reason    string
		metadata  map[string]string
		transient bool
	}{
		{codes.Aborted, "CHECKSUM_MISMATCH", nil, true},
		{codes.Aborted, "PART_BUSY", nil, true},
		{codes.Aborted, "STREAM_IDLE", nil, true},
		{codes.Aborted, "STREAM_TOO_SLOW", nil, true},
		{codes.Aborted, "STALE_WRITER", nil, false},
		{codes.Unavailable, "SHUTTING_DOWN", nil, true},
		{codes.Unavailable, "A_REASON_FROM_THE_FUTURE", nil, true},
		{codes.Aborted, "A_REASON_FROM_THE_FUTURE", nil, false},
		{codes.ResourceExhausted, "STORAGE_FULL", nil, false},
		{codes.FailedPrecondition, "UPLOAD_NOT_ACTIVE", map[string]string{"state": "COMPLETING"}, true},
		{codes.FailedPrecondition, "UPLOAD_NOT_ACTIVE", map[string]string{"state": "CANCELLED"}, false},
	} {
		if refusal(row.code, row.reason, row.metadata).Transient() != row.transient {
			t.Errorf("%+v", row)
		}
	}
	limited := refusal(codes.ResourceExhausted, "RATE_LIMITED", nil, &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)})
	if !limited.Transient() {
		t.Error("RATE_LIMITED")
	}
	// What has no details is a broken connection; an expired deadline too, which
	// servers answer with CANCELLED.
	for message, transient := range map[string]bool{
		"Timeout expired": true, "authentication handshake failed: EOF": true,
		"authentication handshake failed: tls: failed to verify certificate: x509: unknown authority": false,
	} {
		e := failed(context.Background(), status.Error(codes.Canceled, message))
		if e.Kind != KindTransport || e.Transient() != transient {
			t.Errorf("%+v", e)
		}
	}
}

func TestDelaysAreAsLongAsTheServerAsks(t *testing.T) {
	busy := refusal(codes.Unavailable, "OVERLOADED", nil, &errdetails.RetryInfo{RetryDelay: durationpb.New(400 * time.Millisecond)})
	attempts := &attempts{giveUpAfter: time.Minute}
	began := time.Now()
	if err := attempts.wait(context.Background(), busy); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(began); waited < 400*time.Millisecond || waited > 2*time.Second {
		t.Fatalf("%s", waited)
	}
	attempts.giveUpAfter = 500 * time.Millisecond
	if err := attempts.wait(context.Background(), busy); !errors.Is(err, ReasonOverloaded) {
		t.Fatalf("%v", err)
	}
	attempts.progressed()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := attempts.wait(ctx, busy); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, KindCancelled) {
		t.Fatalf("%v", err)
	}
}

func TestWhatDoesNotMoveIsGivenUp(t *testing.T) {
	ctx, dog := watched(context.Background(), 100*time.Millisecond)
	defer dog.stop()
	for range 4 {
		time.Sleep(40 * time.Millisecond)
		dog.moved()
	}
	if ctx.Err() != nil {
		t.Fatal("it was given up while it moved")
	}
	<-ctx.Done()
	e := failed(ctx, status.FromContextError(ctx.Err()).Err())
	if e.Kind != KindTransport || !e.Transient() || e.Code != codes.DeadlineExceeded {
		t.Fatalf("%+v", e)
	}
}

func TestTheReasonsAreThoseOfTheContract(t *testing.T) {
	source, err := os.ReadFile("reason.go")
	if err != nil {
		t.Fatal(err)
	}
	constants := regexp.MustCompile(`Reason = "(\w+)"`).FindAllSubmatch(source, -1)
	if len(constants) != len(sluicev1.ErrorReason_value)-1 {
		t.Errorf("%d constants for %d values", len(constants), len(sluicev1.ErrorReason_value))
	}
	for _, constant := range constants {
		if _, known := sluicev1.ErrorReason_value["ERROR_REASON_"+string(constant[1])]; !known {
			t.Errorf("%s", constant[1])
		}
	}
}

func TestTheVersionIsThatOfTheServer(t *testing.T) {
	manifest, err := os.ReadFile("../../Cargo.toml")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^version = "(.*)"$`).FindSubmatch(manifest)
	if version == nil || string(version[1]) != Version {
		t.Fatalf("%s is not %s", Version, version)
	}
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	for _, server := range []string{"", "127.0.0.1:7070", "ftp://host", "http://", "http://a b"} {
		if _, err := NewClient(server); !errors.Is(err, KindUsage) {
			t.Errorf("%q: %v", server, err)
		}
	}
}

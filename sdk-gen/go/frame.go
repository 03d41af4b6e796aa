package sluice

import (
	"sync"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // Registers the codec that is extended here.
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// Servers take frames of this size; it divides every part size.
const frameSize = 1 << 20

// A frame is a piece of content on its way, with its checksum.
type frame struct {
	content mem.Buffer
	crc32c  uint32
}

// newFrame owns a buffer of framePool with this content.
func newFrame(buffer *[]byte) frame {
	return frame{content: mem.NewBuffer(buffer, &framePool), crc32c: crc32c(*buffer)}
}

func (f frame) size() int64 { return int64(f.content.Len()) }

// framePool has the buffers of frames. The transport gives one back when the
// last byte of it is on the way.
var framePool bufferPool

type bufferPool struct{ sync.Pool }

func (p *bufferPool) Get(length int) *[]byte {
	buffer, _ := p.Pool.Get().(*[]byte)
	if buffer == nil {
		fresh := make([]byte, frameSize)
		buffer = &fresh
	}
	*buffer = (*buffer)[:length]
	return buffer
}

func (p *bufferPool) Put(buffer *[]byte) { p.Pool.Put(buffer) }

// outgoing is a WriteUploadRequest whose content goes to the transport as the
// very bytes that were read. Sending it gives the frame away.
type outgoing struct {
	// Everything but the content.
	request *sluicev1.WriteUploadRequest
	// May be absent.
	frame *frame
}

// frameCodec is gRPC's own codec, but for messages that are outgoing.
type frameCodec struct{ encoding.CodecV2 }

func newFrameCodec() frameCodec { return frameCodec{encoding.GetCodecV2("proto")} }

func (c frameCodec) Marshal(value any) (mem.BufferSlice, error) {
	message, ok := value.(*outgoing)
	if !ok {
		return c.CodecV2.Marshal(value)
	}
	encoded, err := proto.Marshal(message.request)
	if err != nil || message.frame == nil {
		return mem.BufferSlice{mem.SliceBuffer(encoded)}, err
	}
	// Fields may come in any order, so that the content can be the last.
	const checksummedData, content, checksum = 5, 1, 2
	length := message.frame.content.Len()
	data := protowire.AppendTag(nil, checksum, protowire.Fixed32Type)
	data = protowire.AppendFixed32(data, message.frame.crc32c)
	data = protowire.AppendTag(data, content, protowire.BytesType)
	data = protowire.AppendVarint(data, uint64(length))
	encoded = protowire.AppendTag(encoded, checksummedData, protowire.BytesType)
	encoded = protowire.AppendVarint(encoded, uint64(len(data)+length))
	encoded = append(encoded, data...)
	return mem.BufferSlice{mem.SliceBuffer(encoded), message.frame.content}, nil
}

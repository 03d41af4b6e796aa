package sluice_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy passes bytes on, and does harm to those that clients send when it was
// told to.
type proxy struct {
	listener net.Listener
	target   string

	mutex sync.Mutex
	// Bytes that clients have sent, on all connections.
	sent int64
	// Cuts all connections whenever so many more have passed, so many times.
	cutEvery, nextCut int64
	cutsLeft          int
	cuts              int
	// Changes the byte at this place.
	damageAt int64
	// Passes nothing on any more on connections that are open when so many have
	// passed.
	stallAt int64
	stalls  int
	// Bytes a second; 0 is no limit.
	rate  int64
	conns map[net.Conn]chan struct{}
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	p := &proxy{listener: listener, target: target, damageAt: -1, stallAt: -1, conns: map[net.Conn]chan struct{}{}}
	t.Cleanup(func() {
		_ = listener.Close()
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.closeAll()
	})
	go p.serve()
	return p
}

func (p *proxy) url() string { return "http://" + p.listener.Addr().String() }

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		upstream, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		stalled := make(chan struct{})
		p.mutex.Lock()
		p.conns[client], p.conns[upstream] = stalled, nil
		p.mutex.Unlock()
		go p.pass(client, upstream, stalled, true)
		go p.pass(upstream, client, stalled, false)
	}
}

func (p *proxy) pass(from, to net.Conn, stalled chan struct{}, counted bool) {
	buffer := make([]byte, 32<<10)
	for {
		length, err := from.Read(buffer)
		select {
		case <-stalled:
			_, _ = io.Copy(io.Discard, from) // Until it gives up.
			length, err = 0, io.EOF
		default:
		}
		if length > 0 && (!counted || p.allow(buffer[:length])) {
			select {
			case <-stalled:
			default:
				_, _ = to.Write(buffer[:length])
			}
		}
		if err != nil {
			_, _ = from.Close(), to.Close()
			p.mutex.Lock()
			delete(p.conns, from)
			delete(p.conns, to)
			p.mutex.Unlock()
			return
		}
	}
}

// allow counts bytes of a client; answers whether they pass.
func (p *proxy) allow(data []byte) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	before := p.sent
	p.sent += int64(len(data))
	if p.rate > 0 {
		time.Sleep(time.Second * time.Duration(len(data)) / time.Duration(p.rate))
	}
	if before <= p.damageAt && p.damageAt < p.sent {
		data[p.damageAt-before] ^= 1
	}
	if p.stallAt >= 0 && p.sent > p.stallAt {
		p.stallAt = -1
		for _, stalled := range p.conns {
			if stalled != nil {
				p.stalls++
				close(stalled)
			}
		}
		clear(p.conns)
	}
	if p.cutsLeft > 0 && p.sent > p.nextCut {
		p.cutsLeft--
		p.cuts++
		p.nextCut = p.sent + p.cutEvery
		p.closeAll()
		return false
	}
	return true
}

func (p *proxy) closeAll() {
	for conn := range p.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	clear(p.conns)
}

func (p *proxy) look() (sent int64, cuts, stalls int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.sent, p.cuts, p.stalls
}

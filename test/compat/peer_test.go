package compat

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// peer is a process of Apache Mesos as far as the wire can tell: it listens,
// answers messages with 202, keeps them, and sends the ones that it is told to,
// byte for byte as libprocess writes them.
type peer struct {
	t    *testing.T
	addr string
	// pong makes it answer pings, as an agent does.
	pong bool

	mu       sync.Mutex
	listener net.Listener
	open     []net.Conn // accepted
	links    map[string]net.Conn
	inbox    []letter
	grown    chan struct{}
}

// letter is a message received: its head as sent and its body.
type letter struct {
	first  string
	header [][2]string
	chunks []int
	body   []byte
	kind   string // the message's full name
	from   string
	taken  bool
}

// newPeer listens on a port of four digits, as the captured servers did, so that
// addresses keep their length.
func newPeer(t *testing.T) *peer {
	t.Helper()
	return newPeerAt(t, shortAddr(t))
}

func newPeerAt(t *testing.T, addr string) *peer {
	t.Helper()
	p := &peer{t: t, addr: addr, links: map[string]net.Conn{}, grown: make(chan struct{})}
	p.listen()
	t.Cleanup(p.close)
	return p
}

var shortPorts struct {
	sync.Mutex
	next int
}

// shortAddr returns a free loopback address whose port has four digits.
func shortAddr(t *testing.T) string {
	t.Helper()
	shortPorts.Lock()
	defer shortPorts.Unlock()
	for port := max(shortPorts.next, 6100); port < 10000; port++ {
		listener, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			continue
		}
		listener.Close()
		shortPorts.next = port + 1
		return listener.Addr().String()
	}
	t.Fatal("no free port of four digits")
	return ""
}

func (p *peer) listen() {
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.listener = listener
	p.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.open = append(p.open, conn)
			p.mu.Unlock()
			go p.serve(conn)
		}
	}()
}

// close drops all connections and stops listening, as a process that dies does.
func (p *peer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for _, conn := range p.open {
		conn.Close()
	}
	for _, conn := range p.links {
		conn.Close()
	}
	p.open, p.links = nil, map[string]net.Conn{}
}

// unlink drops the connections that it has opened, to a process that has died.
func (p *peer) unlink() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.links {
		conn.Close()
	}
	clear(p.links)
}

// forget takes all messages of a type that have come.
func (p *peer) forget(kind string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.inbox {
		p.inbox[i].taken = p.inbox[i].taken || p.inbox[i].kind == kind
	}
}

func (p *peer) serve(conn net.Conn) {
	defer conn.Close()
	for r := bufio.NewReader(conn); ; {
		m, err := readLetter(r)
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 202 Accepted\r\nDate: Fri, 20 Nov 2026 16:34:21 GMT\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
		if p.pong && m.kind == "mesos.internal.PingSlaveMessage" {
			process, addr, _ := strings.Cut(m.from, "@")
			p.send(addr, process, "mesos.internal.PongSlaveMessage", "slave(1)", nil)
		}
		p.mu.Lock()
		p.inbox = append(p.inbox, m)
		close(p.grown)
		p.grown = make(chan struct{})
		p.mu.Unlock()
	}
}

// readLetter reads one HTTP request, keeping the order of its headers.
func readLetter(r *bufio.Reader) (letter, error) {
	text := textproto.NewReader(r)
	first, err := text.ReadLine()
	if err != nil {
		return letter{}, err
	}
	m := letter{first: first}
	for {
		line, err := text.ReadLine()
		if err != nil {
			return letter{}, err
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ": ")
		m.header = append(m.header, [2]string{name, value})
		if name == "Libprocess-From" {
			m.from = value
		}
	}
	if words := strings.Fields(first); len(words) == 3 {
		m.kind = words[1][strings.LastIndexByte(words[1], '/')+1:]
	}
	return m, m.readBody(r)
}

func (m *letter) readBody(r *bufio.Reader) error {
	for _, header := range m.header {
		switch {
		case header == [2]string{"Transfer-Encoding", "chunked"}:
			return m.readChunks(r)
		case header[0] == "Content-Length":
			length, err := strconv.Atoi(header[1])
			if err != nil {
				return err
			}
			m.body = make([]byte, length)
			_, err = io.ReadFull(r, m.body)
			return err
		}
	}
	return nil
}

func (m *letter) readChunks(r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
		if err != nil {
			return err
		}
		chunk := make([]byte, size+2)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
		m.chunks = append(m.chunks, int(size))
		m.body = append(m.body, chunk[:size]...)
	}
}

// send sends a message over the connection to addr, which it opens and keeps.
func (p *peer) send(addr, process, kind, from string, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	conn := p.links[addr]
	if conn == nil {
		var err error
		if conn, err = net.Dial("tcp", addr); err != nil {
			p.t.Errorf("sending %s: %v", kind, err)
			return
		}
		p.links[addr] = conn
		go io.Copy(io.Discard, conn)
	}
	var b strings.Builder
	upid := from + "@" + p.addr
	fmt.Fprintf(&b, "POST /%s/%s HTTP/1.1\r\nUser-Agent: libprocess/%s\r\nLibprocess-From: %s\r\nConnection: Keep-Alive\r\nHost: %s\r\n",
		process, kind, upid, upid, addr)
	if len(body) > 0 {
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n", len(body), body)
	}
	b.WriteString("\r\n")
	if _, err := io.WriteString(conn, b.String()); err != nil {
		delete(p.links, addr)
		p.t.Errorf("sending %s: %v", kind, err)
	}
}

// await returns the first message of a type that was not taken yet.
func (p *peer) await(kind string) letter { return p.awaitOf(kind, "") }

// awaitOf returns the first such message that has something in its body.
func (p *peer) awaitOf(kind, with string) letter {
	p.t.Helper()
	var found letter
	cluster.Eventually(p.t, cluster.Patience, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		for i := range p.inbox {
			if p.inbox[i].kind == kind && !p.inbox[i].taken && bytes.Contains(p.inbox[i].body, []byte(with)) {
				p.inbox[i].taken = true
				found = p.inbox[i]
				return nil
			}
		}
		return fmt.Errorf("no %s has come, but %s", kind, p.left())
	})
	return found
}

// rest returns the types of the messages that nobody took, pings aside.
func (p *peer) rest() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left()
}

// repeated says of which messages there may be more than were captured: pings,
// and registrations that were not answered within a random time.
func repeated(kind string) bool {
	switch strings.TrimPrefix(kind, "mesos.internal.") {
	case "PingSlaveMessage", "PongSlaveMessage", "RegisterSlaveMessage", "ReregisterSlaveMessage":
		return true
	}
	return false
}

func (p *peer) left() string {
	var kinds []string
	for _, m := range p.inbox {
		if !m.taken && !repeated(m.kind) {
			kinds = append(kinds, m.kind)
		}
	}
	return strings.Join(kinds, " ")
}

package libprocess

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/meseta-project/meseta/internal/ids"
)

const from = "Libprocess-From: a@127.0.0.1:1\r\n"

// corpus is requests as they may come from anywhere, and what is made of each:
// the body, or the error.
var corpus = []struct{ name, in, body, err string }{
	{"header only", "POST /m/n HTTP/1.1\r\n" + from + "\r\n", "", ""},
	{"bare newlines", "POST /m/n HTTP/1.1\nLibprocess-From: a@127.0.0.1:1\nContent-Length: 2\n\nhi", "hi", ""},
	{"empty lines first", "\r\n\r\nPOST /m/n HTTP/1.1\r\n" + from + "Content-Length: 2\r\n\r\nhi", "hi", ""},
	{"user agent only", "POST /m/n HTTP/1.1\r\nuser-agent: libprocess/a@127.0.0.1:1\r\nContent-Length: 2\r\n\r\nhi", "hi", ""},
	{"query", "POST /m/n?x=/y HTTP/1.1\r\n" + from + "\r\n", "", ""},
	{"encoded process", "POST /%6d/n HTTP/1.1\r\n" + from + "\r\n", "", ""},
	{"one chunk", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", ""},
	{"several chunks", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: Chunked\r\n\r\n1\r\nh\r\n0001\r\ni\r\n0\r\n\r\n", "hi", ""},
	{"chunk extension", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0;c\r\n\r\n", "hi", ""},
	{"no chunk", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", ""},
	// CVE-2018-1330 was a crash on trailers.
	{"trailers", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\nZ\r\n\r\n", "hi", ""},
	{"endless trailers", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: y\r\n", 20000) + "\r\n", "", "Trailers are too large"},
	// CVE-2017-9790 was a crash on a request without a path.
	{"no path", "POST HTTP/1.1\r\n" + from + "\r\n", "", "Request URL path must start with '/'"},
	{"empty path", "POST  HTTP/1.1\r\n" + from + "\r\n", "", "Request URL path must start with '/'"},
	{"no version", "POST /m/n\r\n" + from + "\r\n", "", "Request URL path must start with '/'"},
	{"relative path", "POST m/n HTTP/1.1\r\n" + from + "\r\n", "", "Request URL path must start with '/'"},
	{"absolute URL", "POST http://h/m/n HTTP/1.1\r\n" + from + "\r\n", "", "Request URL path must start with '/'"},
	// CVE-2017-7687 was a crash on a malformed path.
	{"bad encoding", "POST /%zz/n HTTP/1.1\r\n" + from + "\r\n", "", `Failed to decode URL path: invalid URL escape "%zz"`},
	{"half an encoding", "POST /m%2 HTTP/1.1\r\n" + from + "\r\n", "", `Failed to decode URL path: invalid URL escape "%2"`},
	{"no sender's address", "POST /m/n HTTP/1.1\r\nLibprocess-From: a\r\n\r\n", "", `Failed to determine sender from request headers: "a" is no libprocess address: it has no '@'`},
	{"negative length", "POST /m/n HTTP/1.1\r\n" + from + "Content-Length: -1\r\n\r\n", "", "Malformed content length"},
	{"two lengths", "POST /m/n HTTP/1.1\r\n" + from + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nhi", "", "Malformed content length"},
	{"huge length", "POST /m/n HTTP/1.1\r\n" + from + "Content-Length: 9223372036854775807\r\n\r\n", "", "Request body is larger than 1000 bytes"},
	{"length past 64 bits", "POST /m/n HTTP/1.1\r\n" + from + "Content-Length: 18446744073709551617\r\n\r\n", "", "Malformed content length"},
	{"length and chunks", "POST /m/n HTTP/1.1\r\n" + from + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", "Both a content length and a transfer encoding"},
	{"gzip", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: gzip, chunked\r\n\r\n", "", "Unsupported transfer encoding"},
	{"chunked twice", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "", "Unsupported transfer encoding"},
	{"negative chunk", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\n\r\n-2\r\n", "", "Malformed chunk length"},
	{"empty chunk length", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\n\r\n\r\n", "", "Malformed chunk length"},
	{"huge chunk", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n", "", "Request body is larger than 1000 bytes"},
	{"chunk past 64 bits", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\n", "", "Malformed chunk length"},
	{"many chunks", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 1001), "", "Request body is larger than 1000 bytes"},
	{"chunk that goes on", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\n\r\n1\r\nhi\r\n0\r\n\r\n", "", "Malformed chunk"},
	{"header without colon", "POST /m/n HTTP/1.1\r\n" + from + "nonsense\r\n\r\n", "", "Malformed header"},
	{"header bomb", "POST /m/n HTTP/1.1\r\n" + from + strings.Repeat("X: y\r\n", 20000) + "\r\n", "", "Request head is too large"},
	{"endless line", "POST /" + strings.Repeat("x", 70000), "", "Request head is too large"},
	{"cut head", "POST /m/n HTTP/1.1\r\nLibproc", "", "unexpected EOF"},
	{"cut body", "POST /m/n HTTP/1.1\r\n" + from + "Content-Length: 3\r\n\r\nhi", "", "unexpected EOF"},
	{"cut chunk", "POST /m/n HTTP/1.1\r\n" + from + "Transfer-Encoding: chunked\r\n\r\n3\r\nhi", "", "unexpected EOF"},
}

// parse reads one message.
func parse(p *parser) (to route, sender ids.UPID, body []byte, err error) {
	h, err := p.head()
	if err != nil {
		return route{}, "", nil, err
	}
	if to, err = p.route(h.target); err != nil {
		return route{}, "", nil, err
	}
	if sender, err = p.sender(h.from); err != nil {
		return route{}, "", nil, err
	}
	body, err = p.body(h)
	return to, sender, body, err
}

func TestRequests(t *testing.T) {
	for _, c := range corpus {
		for how, src := range map[string]io.Reader{
			"whole": strings.NewReader(c.in),
			"bytes": iotest.OneByteReader(strings.NewReader(c.in)),
		} {
			p := parser{src: src, maxBody: 1000}
			to, sender, body, err := parse(&p)
			switch {
			case c.err != "" && (err == nil || err.Error() != c.err):
				t.Errorf("%s, %s: error %v; want %s", c.name, how, err, c.err)
			case c.err != "":
			case err != nil || string(body) != c.body || to != (route{"m", "n"}) || sender != "a@127.0.0.1:1":
				t.Errorf("%s, %s: %v from %s: %q, %v", c.name, how, to, sender, body, err)
			case p.r != p.w:
				t.Errorf("%s, %s: %d bytes left", c.name, how, p.w-p.r)
			}
		}
	}
}

// Requests that follow each other are read apart wherever the reads end.
func TestPipelinedRequests(t *testing.T) {
	var stream []byte
	var bodies []string
	for i := range 200 {
		body := strings.Repeat("x", i*i%3000)
		bodies = append(bodies, body)
		stream = AppendMessage(stream, "m@127.0.0.1:2", "a@127.0.0.1:1", "n", []byte(body))
	}
	for how, src := range map[string]io.Reader{
		"whole":  bytes.NewReader(stream),
		"halves": iotest.HalfReader(bytes.NewReader(stream)),
		"bytes":  iotest.OneByteReader(bytes.NewReader(stream)),
	} {
		p := parser{src: src, maxBody: 5000}
		for i, want := range bodies {
			if _, _, body, err := parse(&p); err != nil || string(body) != want {
				t.Fatalf("%s: message %d: %d bytes, %v; want %d", how, i, len(body), err, len(want))
			}
		}
	}
}

// Names that an adversary makes up are not remembered for ever.
func TestMemoryOfNamesIsBounded(t *testing.T) {
	var stream []byte
	for i := range 1000 {
		id := strings.Repeat("x", i%500) + "@127.0.0.1:1"
		stream = AppendMessage(stream, ids.UPID("m"+id), ids.UPID("a"+id), "n"+strings.Repeat("y", i%499), nil)
	}
	p := parser{src: bytes.NewReader(stream), maxBody: 1}
	for range 1000 {
		if _, _, _, err := parse(&p); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.names) > maxRoutes || len(p.routes) > maxRoutes || len(p.senders) > maxRoutes {
		t.Errorf("%d names, %d routes, %d senders", len(p.names), len(p.routes), len(p.senders))
	}
}

func FuzzParser(f *testing.F) {
	for _, c := range corpus {
		if len(c.in) < 5000 {
			f.Add([]byte(c.in))
		}
	}
	f.Add(AppendMessage(nil, "slave(1)@127.0.0.1:5051", "master@127.0.0.1:5050", "mesos.internal.PingSlaveMessage", []byte{8, 1}))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole := parser{src: bytes.NewReader(in), maxBody: 1000}
		split := parser{src: iotest.OneByteReader(bytes.NewReader(in)), maxBody: 1000}
		for {
			r1, s1, b1, err1 := parse(&whole)
			r2, s2, b2, err2 := parse(&split)
			if (err1 == nil) != (err2 == nil) || err1 == nil && (r1 != r2 || s1 != s2 || !bytes.Equal(b1, b2)) {
				t.Fatalf("%v %s %q %v; byte by byte %v %s %q %v", r1, s1, b1, err1, r2, s2, b2, err2)
			}
			if err1 != nil {
				var m *malformed
				if !errors.As(err1, &m) && !errors.Is(err1, io.ErrUnexpectedEOF) {
					t.Fatalf("unexpected error %v", err1)
				}
				return
			}
			if len(b1) > 1000 {
				t.Fatalf("a body of %d bytes", len(b1))
			}
		}
	})
}

func BenchmarkParser(b *testing.B) {
	one := AppendMessage(nil, "slave(1)@127.0.0.1:5051", "master@127.0.0.1:5050", "mesos.internal.StatusUpdateMessage", make([]byte, 300))
	stream := bytes.Repeat(one, 1000)
	b.ReportAllocs()
	b.SetBytes(int64(len(one)))
	src := bytes.NewReader(stream)
	p := parser{src: src, maxBody: 1 << 20, buf: make([]byte, readSize)}
	for b.Loop() {
		if src.Len() == 0 && p.empty() {
			src.Reset(stream)
		}
		if _, _, _, err := parse(&p); err != nil {
			b.Fatal(err)
		}
	}
}

package libprocess

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/meseta-project/meseta/internal/ids"
)

const (
	maxHead   = 64 << 10 // bytes of a request's head, and of its trailers
	maxRoutes = 64       // targets and senders remembered per connection
	keepBody  = 64 << 10 // a body's memory up to this size serves the next one
)

// A malformed is a request that cannot be read further. It is answered with
// the status and text, and the connection is closed.
type malformed struct {
	status int
	text   string
}

func (m *malformed) Error() string { return m.text }

func bad(text string) error { return &malformed{http.StatusBadRequest, text} }

// A head is what the head of one request says.
type head struct {
	size    int    // bytes, with the empty line
	method  string // only whether it is POST matters
	target  string // as sent
	from    string // the sender as announced; "" if it is no message
	chunked bool
	length  int // of the body, -1 unless said
	close   bool
	framing error // why the body's end cannot be told
}

// A parser reads requests from src. Bodies and heads share one buffer; strings
// that come again and again are kept, so a steady stream allocates nothing.
type parser struct {
	src     io.Reader
	maxBody int // bytes

	buf     []byte
	r, w    int    // buf[r:w] is read and not consumed
	large   []byte // a body that does not lie in buf in one piece
	names   map[string]string
	routes  map[string]route
	senders map[string]ids.UPID
}

// A route is a request's target taken apart.
type route struct{ process, message string }

// empty reports whether everything that was read is consumed.
func (p *parser) empty() bool { return p.r == p.w }

// fill reads more, after what is there, making room if it must.
func (p *parser) fill() error {
	if p.w == len(p.buf) && p.r > 0 {
		p.w = copy(p.buf, p.buf[p.r:p.w])
		p.r = 0
	}
	if p.w == len(p.buf) {
		p.buf = slices.Grow(p.buf, max(len(p.buf), 1<<10))
		p.buf = p.buf[:cap(p.buf)]
	}
	n, err := p.src.Read(p.buf[p.w:])
	p.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// line returns the line that begins off bytes after what is consumed, without
// its end, and where the next one begins.
func (p *parser) line(off int) (line []byte, next int, err error) {
	for seen := off; ; {
		if i := bytes.IndexByte(p.buf[p.r+seen:p.w], '\n'); i >= 0 {
			next = seen + i + 1
			line = bytes.TrimSuffix(p.buf[p.r+off:p.r+next-1], []byte("\r"))
			return line, next, nil
		}
		if seen = p.w - p.r; seen-off > maxHead {
			return nil, 0, &malformed{http.StatusRequestHeaderFieldsTooLarge, "Request head is too large"}
		}
		if err := p.fill(); err != nil {
			return nil, 0, unexpected(err)
		}
	}
}

func unexpected(err error) error {
	if err == io.EOF { //nolint:errorlint // readers return it bare
		return io.ErrUnexpectedEOF
	}
	return err
}

// head reads a request's head and leaves it unconsumed.
func (p *parser) head() (head, error) {
	h := head{length: -1}
	agent := ""
	for first := true; ; {
		line, next, err := p.line(h.size)
		if err != nil {
			return h, err
		}
		if h.size = next; next > maxHead {
			return h, &malformed{http.StatusRequestHeaderFieldsTooLarge, "Request head is too large"}
		}
		switch {
		case first && len(line) == 0: // allowed before a request
		case first:
			first = false
			p.requestLine(&h, line)
		case len(line) == 0:
			if h.from == "" {
				h.from = agent
			}
			return h, nil
		default:
			p.header(&h, &agent, line)
		}
	}
}

// requestLine takes what it can from the first line. A line that makes no
// sense leaves no target, which is refused if it is a message's at all.
func (p *parser) requestLine(h *head, line []byte) {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(rest, []byte(" "))
	h.method, h.target = p.intern(method), p.intern(target)
	switch string(version) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		h.close = true
	default:
		h.target = ""
	}
}

func (p *parser) header(h *head, agent *string, line []byte) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	value = bytes.Trim(value, " \t")
	switch {
	case !ok:
		h.framing = bad("Malformed header")
	case is(name, "User-Agent"):
		if sender, ok := bytes.CutPrefix(value, []byte("libprocess/")); ok {
			*agent = p.intern(sender)
		}
	case is(name, "Libprocess-From"):
		h.from = p.intern(value)
	case is(name, "Connection"):
		h.close = h.close || is(value, "close")
	case is(name, "Transfer-Encoding"):
		if h.chunked || !is(value, "chunked") {
			h.framing = bad("Unsupported transfer encoding")
		}
		h.chunked = true
	case is(name, "Content-Length"):
		n, err := strconv.ParseUint(string(value), 10, 63)
		if err != nil || h.length >= 0 {
			h.framing = bad("Malformed content length")
		}
		h.length = int(n)
	}
}

// is reports whether b is s, in any case.
func is(b []byte, s string) bool {
	return len(b) == len(s) && (string(b) == s || strings.EqualFold(string(b), s))
}

// intern returns b as a string, the same one each time.
func (p *parser) intern(b []byte) string {
	if s, ok := p.names[string(b)]; ok {
		return s
	}
	return remember(&p.names, string(b), string(b))
}

// remember keeps a value under a key, forgetting all when there are too many.
func remember[V any](m *map[string]V, key string, v V) V {
	if *m == nil {
		*m = map[string]V{}
	}
	if len(*m) >= maxRoutes {
		clear(*m)
	}
	(*m)[key] = v
	return v
}

// route takes a target apart, undoing the percent-encoding of the process.
func (p *parser) route(target string) (route, error) {
	if r, ok := p.routes[target]; ok {
		return r, nil
	}
	path, _, _ := strings.Cut(target, "?")
	path, ok := strings.CutPrefix(path, "/")
	if !ok {
		return route{}, bad("Request URL path must start with '/'")
	}
	process, message, _ := strings.Cut(path, "/")
	process, err := url.PathUnescape(process)
	if err != nil {
		return route{}, bad("Failed to decode URL path: " + err.Error())
	}
	return remember(&p.routes, target, route{process, message}), nil
}

// sender returns the announced sender as a UPID.
func (p *parser) sender(announced string) (ids.UPID, error) {
	if u, ok := p.senders[announced]; ok {
		return u, nil
	}
	u, err := ids.ParseUPID(announced)
	if err != nil {
		return "", bad("Failed to determine sender from request headers: " + err.Error())
	}
	return remember(&p.senders, announced, u), nil
}

// body consumes the request whose head is h and returns its body, which is
// valid until the parser is used again.
func (p *parser) body(h head) ([]byte, error) {
	switch {
	case h.framing != nil:
		return nil, h.framing
	case h.chunked && h.length >= 0:
		return nil, bad("Both a content length and a transfer encoding")
	}
	p.r += h.size
	if cap(p.large) > keepBody {
		p.large = nil
	}
	p.large = p.large[:0]
	switch {
	case h.chunked:
		return p.chunks()
	case h.length > p.maxBody:
		return nil, p.tooLarge()
	case h.length <= p.w-p.r:
		return p.take(max(h.length, 0)), nil
	default:
		err := p.collect(h.length)
		return p.large, err
	}
}

func (p *parser) tooLarge() error {
	return &malformed{http.StatusRequestEntityTooLarge, "Request body is larger than " + strconv.Itoa(p.maxBody) + " bytes"}
}

// take consumes n bytes that have been read.
func (p *parser) take(n int) []byte {
	b := p.buf[p.r : p.r+n : p.r+n]
	p.r += n
	return b
}

// collect consumes n bytes and appends them to p.large, whose memory grows
// with what arrives and not with what is claimed.
func (p *parser) collect(n int) error {
	got := min(n, p.w-p.r)
	p.large = append(p.large, p.take(got)...)
	for n -= got; n > 0; n -= got {
		have := len(p.large)
		p.large = slices.Grow(p.large, min(n, max(have, keepBody)))
		var err error
		got, err = p.src.Read(p.large[have:min(have+n, cap(p.large))])
		p.large = p.large[:have+got]
		if err != nil && got < n {
			return unexpected(err)
		}
	}
	return nil
}

// chunks reads a chunked body. The usual one, of a single chunk that has
// arrived with its end, is not copied.
func (p *parser) chunks() ([]byte, error) {
	const end = "\r\n0\r\n\r\n"
	for first := true; ; first = false {
		n, err := p.chunkSize()
		switch {
		case err != nil:
			return nil, err
		case n == 0:
			return p.large, p.trailers()
		case len(p.large)+n > p.maxBody:
			return nil, p.tooLarge()
		}
		if rest := p.buf[p.r:p.w]; first && len(rest) >= n+len(end) && string(rest[n:n+len(end)]) == end {
			b := p.take(n)
			p.r += len(end)
			return b, nil
		}
		if err := p.collect(n); err != nil {
			return nil, err
		}
		if line, next, err := p.line(0); err != nil {
			return nil, err
		} else if len(line) > 0 {
			return nil, bad("Malformed chunk")
		} else {
			p.r += next
		}
	}
}

// chunkSize reads the line before a chunk, whose extensions mean nothing.
func (p *parser) chunkSize() (int, error) {
	line, next, err := p.line(0)
	if err != nil {
		return 0, err
	}
	digits, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseUint(string(bytes.TrimRight(digits, " \t")), 16, 63)
	p.r += next
	switch {
	case err != nil:
		return 0, bad("Malformed chunk length")
	case n > uint64(p.maxBody):
		return 0, p.tooLarge()
	}
	return int(n), nil
}

// trailers reads and drops what may follow the last chunk.
func (p *parser) trailers() error {
	for size := 0; size <= maxHead; {
		line, next, err := p.line(0)
		if err != nil {
			return err
		}
		p.r += next
		if len(line) == 0 {
			return nil
		}
		size += next
	}
	return &malformed{http.StatusRequestHeaderFieldsTooLarge, "Trailers are too large"}
}

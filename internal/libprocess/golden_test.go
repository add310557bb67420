package libprocess

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/ids"
)

// A sample is one HTTP message of a captured run.
type sample struct {
	Kind    string
	First   string
	Headers [][2]string
	Chunks  []int
	Body    []byte
}

func samples(t *testing.T, file string) []sample {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []sample
	for dec := json.NewDecoder(f); dec.More(); {
		var s sample
		if err := dec.Decode(&s); err != nil {
			t.Fatal(file, err)
		}
		all = append(all, s)
	}
	return all
}

func (s sample) header(name string) string {
	for _, h := range s.Headers {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

// bytes returns the message as it was on the wire.
func (s sample) bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\r\n", s.First)
	for _, h := range s.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	if s.header("Transfer-Encoding") == "" {
		b.Write(s.Body)
		return b.Bytes()
	}
	rest := s.Body
	for _, n := range s.Chunks {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	b.WriteString("0\r\n\r\n")
	return b.Bytes()
}

// Every message that Apache Mesos sent is understood, and written as the same
// bytes.
func TestGoldenMessages(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(golden.Dir(t), "*", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatal("no captures", err)
	}
	seen := 0
	for _, file := range files {
		var stream bytes.Buffer
		var want []sample
		for _, s := range samples(t, file) {
			if s.Kind == "request" && s.header("Libprocess-From") != "" {
				stream.Write(s.bytes())
				want = append(want, s)
			}
		}
		p := parser{src: &stream, maxBody: 1 << 20}
		for i, s := range want {
			to, from, name, body := next(t, &p)
			if !bytes.Equal(body, s.Body) {
				t.Errorf("%s: message %d: body of %d bytes; want %d", file, i, len(body), len(s.Body))
			}
			got := AppendMessage(nil, ids.UPID(to+"@"+s.header("Host")), from, name, body)
			if !bytes.Equal(got, s.bytes()) {
				t.Errorf("%s: message %d:\n%q\nwant\n%q", file, i, got, s.bytes())
			}
			seen++
		}
	}
	if seen < 500 {
		t.Errorf("only %d messages seen", seen)
	}
}

func next(t *testing.T, p *parser) (to string, from ids.UPID, name string, body []byte) {
	t.Helper()
	h, err := p.head()
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.route(h.target)
	if err != nil {
		t.Fatal(err)
	}
	if from, err = p.sender(h.from); err != nil {
		t.Fatal(err)
	}
	if body, err = p.body(h); err != nil {
		t.Fatal(err)
	}
	return r.process, from, r.message, body
}

// The answers to messages are those of Apache Mesos, but for the date.
func TestGoldenAnswers(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range []string{"inner_registration/01_register_and_ping.jsonl", "zookeeper/replicated_log_1_start_and_agent_registers.jsonl"} {
		for _, s := range samples(t, golden.Path(t, file)) {
			text := ""
			switch s.First {
			case "HTTP/1.1 404 Not Found":
				text = "404 Not Found."
			case "HTTP/1.1 202 Accepted":
			default:
				continue
			}
			seen[s.First] = true
			var c conn
			c.answer(map[bool]int{true: 202, false: 404}[text == ""], text)
			if got, want := undated(c.out), undated(s.bytes()); got != want {
				t.Fatalf("%s: %q; want %q", file, got, want)
			}
		}
	}
	if len(seen) != 2 {
		t.Errorf("seen only %v", seen)
	}
}

func undated(answer []byte) string {
	before, after, _ := strings.Cut(string(answer), "Date: ")
	_, after, _ = strings.Cut(after, "GMT")
	return before + "Date: " + after
}

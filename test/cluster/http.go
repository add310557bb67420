package cluster

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Reply is an HTTP answer, read whole.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// JSON returns the body as a value; an invalid body is a nil value.
func (r Reply) JSON() Value {
	v, _ := ParseJSON([]byte(r.Body))
	return v
}

// client gives up on an answer that is overdue and never follows a redirect.
var client = &http.Client{
	Timeout:       Patience,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Get fetches a URL.
func Get(url string) (Reply, error) { return Do("GET", url, nil, "") }

// MustGet fetches a URL that answers 200 and returns its JSON.
func MustGet(t TB, url string) Value {
	t.Helper()
	reply, err := Get(url)
	if err != nil || reply.Status != http.StatusOK {
		t.Fatalf("GET %s: %v: %d %s", url, err, reply.Status, reply.Body)
	}
	return reply.JSON()
}

// Post sends JSON to a URL. header may be nil.
func Post(url string, header map[string]string, body any) (Reply, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return Reply{}, err
	}
	headers := map[string]string{"Content-Type": "application/json"}
	maps.Copy(headers, header)
	return Do("POST", url, headers, string(text))
}

// Operate makes a v1 operator call and returns its answer, which must be a 2xx.
func Operate(t TB, n *Node, call any) Value {
	t.Helper()
	reply, err := Post(n.URL+"/api/v1", nil, call)
	if err != nil || reply.Status/100 != 2 {
		t.Fatalf("%v to %s: %v: %d %s", call, n.Name, err, reply.Status, reply.Body)
	}
	return reply.JSON()
}

// Do makes one request with exactly the headers given.
func Do(method, url string, header map[string]string, body string) (Reply, error) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return Reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return Reply{response.StatusCode, response.Header, string(text)}, err
}

// Raw writes bytes to addr as they are and returns everything that comes back
// until the peer closes, is silent for the time given, or has answered one
// request with a length.
func Raw(addr, request string, silence time.Duration) (string, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	// A peer may answer and hang up before it has read everything.
	io.WriteString(conn, request)
	conn.SetReadDeadline(time.Now().Add(silence))
	return readAnswer(bufio.NewReader(conn)), nil
}

// readAnswer returns one answer: its head as sent and, when it has a
// Content-Length, its body. What can be read of a broken one is returned too.
func readAnswer(r *bufio.Reader) string {
	var head strings.Builder
	length := 0
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			break
		}
		if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "Content-Length") {
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		}
	}
	body := make([]byte, min(max(length, 0), 1<<20))
	n, _ := io.ReadFull(r, body)
	return head.String() + string(body[:n])
}

// Healthy fails the test unless the node still answers.
func Healthy(t TB, n *Node) {
	t.Helper()
	if reply, err := Get(n.URL + "/health"); err != nil || reply.Status != http.StatusOK {
		t.Fatalf("%s is no longer healthy: %v %v", n.Name, err, reply.Status)
	}
}

// RSS returns the resident memory of a process in bytes.
func RSS(p *Process) (int64, error) {
	status, err := readProc(p.Pid(), "status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kib int64
			_, err := fmt.Sscanf(value, "%d kB", &kib)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS for %s", p.Name)
}

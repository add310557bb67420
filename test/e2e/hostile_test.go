package e2e

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// hostile is a request, and what the answer has to be.
type hostile struct {
	name   string
	path   string // POST to it, "/api/v1" when empty
	header string // whole header lines beside Host and Content-Length
	body   string
	status int
	text   string // the body of the answer; "…" at its end stands for anything
}

const (
	asJSON     = "Content-Type: application/json\r\n"
	asProtobuf = "Content-Type: application/x-protobuf\r\n"
)

// onBoth must be answered alike by a master and by an agent.
var onBoth = []hostile{
	{"truncated JSON", "", asJSON, `{"type":`, 400, "Failed to parse body into JSON: …"},
	{"no JSON", "", asJSON, `type`, 400, "Failed to parse body into JSON: …"},
	{"empty body", "", asJSON, ``, 400, "Failed to parse body into JSON: …"},
	{"JSON and more", "", asJSON, `{"type":"GET_HEALTH"} }`, 400, "Failed to parse body into JSON: …"},
	{"JSON array", "", asJSON, `[]`, 400, "Failed to convert JSON into Call protobuf: Expecting a JSON object"},
	{"deep JSON", "", asJSON, strings.Repeat(`{"a":`, 1e6), 400, "Failed to parse body into JSON: …"},
	{"deep array", "", asJSON, `{"type":` + strings.Repeat("[", 1e6), 400, "Failed to parse body into JSON: …"},
	{"wrong type of field", "", asJSON, `{"type":"GET_METRICS","get_metrics":7}`, 400, "Failed to convert JSON into Call protobuf: …"},
	{"malformed protobuf", "", asProtobuf, "\xff\xff\xff\xff", 400, "Failed to parse body into Call protobuf"},
	{"truncated protobuf", "", asProtobuf, "\x08\x01\x12\x7f", 400, "Failed to parse body into Call protobuf"},
	{"JSON said to be protobuf", "", asProtobuf, `{"type":"GET_HEALTH"}`, 400, "Failed to parse body into Call protobuf"},
	{"text", "", "Content-Type: text/plain\r\n", `{}`, 415, "Expecting 'Content-Type' of application/json or application/x-protobuf…"},
	{"a charset", "", "Content-Type: application/json; charset=utf-8\r\n", `{}`, 415, "Expecting 'Content-Type' of application/json or application/x-protobuf…"},
	{"no content type", "", "", `{}`, 400, "Expecting 'Content-Type' to be present"},
	{"unknown call", "", asJSON, `{"type":"NOPE"}`, 400, "Failed to validate …::Call: Expecting 'type' to be present"},
	{"no type", "", asJSON, `{}`, 400, "Failed to validate …::Call: Expecting 'type' to be present"},
	{"half a call", "", asJSON, `{"type":"READ_FILE"}`, 400, "Failed to validate …::Call: Expecting 'read_file' to be present"},
	{"read outside", "", asJSON, `{"type":"READ_FILE","read_file":{"path":"/../../etc/passwd","offset":0}}`, 404, ""},
	{"list outside", "", asJSON, `{"type":"LIST_FILES","list_files":{"path":"/etc"}}`, 404, ""},
}

func TestHostileCalls(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	for _, node := range []*cluster.Node{c.Master, c.Agents[0]} {
		for _, test := range onBoth {
			t.Run(node.Name+"/"+test.name, func(t *testing.T) { test.check(t, node) })
		}
		cluster.Healthy(t, node)
	}
	for _, test := range atScheduler {
		t.Run("scheduler/"+test.name, func(t *testing.T) { test.check(t, c.Master) })
	}
	for _, test := range atExecutor {
		t.Run("executor/"+test.name, func(t *testing.T) { test.check(t, c.Agents[0]) })
	}
}

// check sends the request over a socket of its own and compares the answer.
func (h hostile) check(t *testing.T, node *cluster.Node) {
	t.Helper()
	path := h.path
	if path == "" {
		path = "/api/v1"
	}
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n%s",
		path, node.Addr, h.header, len(h.body), h.body)
	answer, err := cluster.Raw(node.Addr, request, cluster.Patience)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(answer, "\r\n\r\n")
	if want := fmt.Sprintf("HTTP/1.1 %d ", h.status); !strings.HasPrefix(head, want) || !like(body, h.text) {
		t.Errorf("answered\n%s\n\n%s\nwant %d %s", head, body, h.status, h.text)
	}
}

// like says whether text is the pattern, in which each … stands for anything.
func like(text, pattern string) bool {
	parts := strings.Split(regexp.QuoteMeta(pattern), "…")
	return regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(text)
}

const (
	schedulerAPI = "/api/v1/scheduler"
	executorAPI  = "/api/v1/executor"
)

var atScheduler = []hostile{
	{"malformed protobuf", schedulerAPI, asProtobuf, "\xff\xff", 400, "Failed to parse body into Call protobuf"},
	{"no type", schedulerAPI, asJSON, `{}`, 400, "Failed to validate scheduler::Call: Expecting 'type' to be present"},
	{"no framework", schedulerAPI, asJSON, `{"type":"REVIVE"}`, 400, "Failed to validate scheduler::Call: Expecting 'framework_id' to be present"},
	{"unknown framework", schedulerAPI, asJSON, `{"type":"REVIVE","framework_id":{"value":"../../x"}}`, 400, "Framework cannot be found"},
	{
		"two framework ids", schedulerAPI, asJSON, `{"type":"SUBSCRIBE","framework_id":{"value":"a"},"subscribe":{"framework_info":{"user":"root","name":"x","id":{"value":"b"}}}}`,
		400, "Failed to validate scheduler::Call: 'framework_id' differs from 'subscribe.framework_info.id'",
	},
	{
		"short uuid", schedulerAPI, asJSON, `{"type":"ACKNOWLEDGE","framework_id":{"value":"a"},"acknowledge":{"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":"YQ=="}}`,
		400, "Failed to validate scheduler::Call: …",
	},
	{
		"no uuid", schedulerAPI, asJSON, `{"type":"ACKNOWLEDGE","framework_id":{"value":"a"},"acknowledge":{"agent_id":{"value":"a"},"task_id":{"value":"t"}}}`,
		400, "Failed to convert JSON into Call protobuf: Missing required fields: acknowledge.uuid",
	},
	{
		"an Accept that nobody can serve", schedulerAPI, asJSON + "Accept: image/png\r\n", `{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"x"}}}`,
		406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
	},
}

var atExecutor = []hostile{
	{"malformed protobuf", executorAPI, asProtobuf, "\xff\xff", 400, "Failed to parse body into Call protobuf"},
	{"missing ids", executorAPI, asJSON, `{"type":"SUBSCRIBE"}`, 400, "Failed to convert JSON into Call protobuf: Missing required fields: executor_id, framework_id"},
	{"unknown framework", executorAPI, asJSON, `{"type":"SUBSCRIBE","executor_id":{"value":"../e"},"framework_id":{"value":"../f"},"subscribe":{}}`, 400, "Framework cannot be found"},
	{"half a call", executorAPI, asJSON, `{"type":"UPDATE","executor_id":{"value":"e"},"framework_id":{"value":"f"}}`, 400, "Failed to validate Executor::Call: Expecting 'update' to be present"},
}

// requestLines are heads that no client of good faith sends. Any answer that
// refuses, or a closed connection, will do; the server has to live.
var requestLines = []string{
	"GET HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST  HTTP/1.1\r\nHost: x\r\n\r\n",
	"\r\n\r\n\r\n",
	"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /files/read?path=%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET //../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /health HTTP/9.9\r\nHost: x\r\n\r\n",
	"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
	"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
	"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
	"POST /api/v1 HTTP/1.1\r\nHost: x\r\n" + asJSON + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n",
	"POST /api/v1 HTTP/1.1\r\nHost: x\r\n" + asJSON + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
	"POST /api/v1 HTTP/1.1\r\nHost: x\r\n" + asJSON + "Transfer-Encoding: chunked\r\n\r\n0\r\nTrailer: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
	"GET /health HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 1<<18) + "\r\n",
	"GET /" + strings.Repeat("x", 4<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /master/mesos.internal.RegisterSlaveMessage HTTP/1.1\r\nHost: x\r\nUser-Agent: libprocess/\r\nContent-Length: 2\r\n\r\n\xff\xff",
	"POST /master/mesos.internal.PingSlaveMessage HTTP/1.1\r\nHost: x\r\nLibprocess-From: a@b@c:99999\r\nContent-Length: 0\r\n\r\n",
	"POST /slave(1)/mesos.internal.RunTaskMessage HTTP/1.1\r\nHost: x\r\nLibprocess-From: master@127.0.0.1:1\r\nContent-Length: 4\r\n\r\n\x0a\x7f\x0a\x7f",
	"POST /%28%29/mesos.internal.Nope HTTP/1.1\r\nHost: x\r\nLibprocess-From: x@127.0.0.1:1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}

func TestHostileHeads(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	for _, node := range []*cluster.Node{c.Master, c.Agents[0]} {
		for i, request := range requestLines {
			answer, err := cluster.Raw(node.Addr, request, time.Second)
			if strings.HasPrefix(answer, "HTTP/1.1 2") && strings.Contains(answer, "root:") {
				t.Errorf("%s: request %d reads a file of the machine:\n%s", node.Name, i, answer)
			}
			if err != nil && !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "broken pipe") {
				t.Errorf("%s: request %d: %v", node.Name, i, err)
			}
			if !node.Running() {
				t.Fatalf("%s: request %d ended the server", node.Name, i)
			}
		}
		cluster.Healthy(t, node)
	}
}

// grown is how much a server may grow under any of the floods below.
const grown = 256 << 20

// bounded runs a flood and fails the test when the server grows too much.
func bounded(t *testing.T, node *cluster.Node, flood func()) {
	t.Helper()
	before, err := cluster.RSS(node.Process)
	if err != nil {
		t.Fatal(err)
	}
	flood()
	after, err := cluster.RSS(node.Process)
	if err != nil {
		t.Fatal(err)
	}
	if after-before > grown {
		t.Errorf("%s grew from %d to %d MB", node.Name, before>>20, after>>20)
	}
	cluster.Healthy(t, node)
}

// TestHostileBodies sends bodies without end, and begins many that never go on.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	for _, node := range []*cluster.Node{c.Master, c.Agents[0]} {
		bounded(t, node, func() {
			if status := endless(t, node.Addr); status != "" && !strings.Contains(status, " 413 ") {
				t.Errorf("%s answers an endless body with %q", node.Name, status)
			}
		})
		bounded(t, node, func() { stalled(t, node, 300) })
	}
}

// endless sends chunks of JSON until the server has had enough, a gigabyte at
// most, and returns the status line of the answer if there is one.
func endless(t *testing.T, addr string) string {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1 HTTP/1.1\r\nHost: x\r\n%sTransfer-Encoding: chunked\r\n\r\n", asJSON)
	io.WriteString(conn, "a\r\n{\"type\":\"x\r\n")
	chunk := "100000\r\n" + strings.Repeat("x", 1<<20) + "\r\n"
	sent := 0
	for ; sent < 1<<10; sent++ {
		if _, err := io.WriteString(conn, chunk); err != nil {
			break
		}
	}
	if sent == 1<<10 {
		t.Errorf("the server took a gigabyte")
	}
	line := make([]byte, 64)
	conn.SetReadDeadline(time.Now().Add(time.Second))
	n, _ := conn.Read(line)
	status, _, _ := strings.Cut(string(line[:n]), "\r\n")
	return status
}

// stalled opens connections that say half of a request, and asks for something
// else beside them.
func stalled(t *testing.T, node *cluster.Node, count int) {
	for i := range count {
		conn, err := net.Dial("tcp", node.Addr)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer conn.Close()
		half := "POST /api/v1 HTTP/1.1\r\nHost: x\r\n" + asJSON + "Content-Length: 100\r\n\r\n{\"type\""
		io.WriteString(conn, half[:len(half)-i%2*40])
	}
	cluster.Healthy(t, node)
}

// TestSlowSubscriber: a scheduler and an operator who subscribe and never read
// cost the master a bounded amount, and nobody else anything.
func TestSlowSubscriber(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	bounded(t, c.Master, func() {
		deaf(t, c.Master, "/api/v1", `{"type":"SUBSCRIBE"}`)
		deaf(t, c.Master, schedulerAPI, `{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"deaf"}}}`)
		s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
		for range 2000 {
			s.Call(J{"type": "MESSAGE", "message": J{
				"agent_id": J{"value": "nobody"}, "executor_id": J{"value": "e"}, "data": strings.Repeat("aaaa", 1000),
			}})
		}
		s.Reconcile()
	})
}

// deaf subscribes and does not read. The connection ends with the test.
func deaf(t *testing.T, node *cluster.Node, path, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", node.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", path, asJSON, len(body), body)
}

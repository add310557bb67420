package compat

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/test/cluster"
)

// elsewhere are samples of endpoints that are compared where they belong.
var elsewhere = map[string]bool{
	"root":       true, // the web UI's own page
	"files_read": true, // the log file of a Mesos master
}

// TestRefusals repeats every captured request that was refused, or almost, and
// compares status, headers and words.
func TestRefusals(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	c := cluster.New(t, 1)
	for _, name := range sampled(t, "errors", ".txt") {
		if elsewhere[name] {
			continue
		}
		t.Run(name, func(t *testing.T) { repeat(t, c, string(golden.Read(t, "errors/"+name+".txt"))) })
	}
}

// repeat makes the request on the first line and compares the answer below.
func repeat(t *testing.T, c *cluster.Cluster, sample string) {
	t.Helper()
	command, answer, _ := strings.Cut(strings.ReplaceAll(sample, "\r", ""), "\n")
	request, err := parseCurl(strings.TrimPrefix(command, "# curl "))
	if err != nil {
		t.Fatal(err)
	}
	request.url = strings.NewReplacer("127.0.0.1:5050", c.Master.Addr, "127.0.0.1:5051", c.Agents[0].Addr).Replace(request.url)
	reply, err := request.do()
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(answer, "\n\n")
	checkHead(t, head, reply)
	if request.method == "HEAD" || strings.Contains(command, "--output") {
		return
	}
	if strings.Contains(head, "Transfer-Encoding: chunked") { // RecordIO: leave out the length
		_, body, _ = strings.Cut(body, "\n")
	}
	if want := strings.TrimSuffix(body, "\n"); strings.TrimSuffix(reply.Body, "\n") != want {
		t.Errorf("says %q, in Mesos %q", reply.Body, want)
	}
}

// curl is a request as the curl command makes it.
type curl struct {
	method, url, body string
	header            http.Header
}

// parseCurl reads a command line whose words have lost their quotes: the URL is
// the last word, and an option's value goes on to the next option.
func parseCurl(line string) (curl, error) {
	at := strings.LastIndex(line, "http://")
	if at < 0 {
		return curl{}, fmt.Errorf("no URL in %q", line)
	}
	c := curl{method: "GET", url: strings.TrimSpace(line[at:]), header: http.Header{"Accept": {"*/*"}}}
	for option := range strings.SplitSeq(" "+strings.TrimSpace(line[:at]), " -") {
		name, value, _ := strings.Cut(option, " ")
		switch name {
		case "X":
			c.method = value
		case "I":
			c.method = "HEAD"
		case "H":
			key, value, _ := strings.Cut(value, ":")
			c.header.Set(key, strings.TrimSpace(value))
		case "d":
			c.body = value
			if c.header.Get("Content-Type") == "" && c.header["Content-Type"] == nil {
				c.header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
		case "", "-output", "D":
		default:
			return curl{}, fmt.Errorf("option -%s in %q", name, line)
		}
	}
	for name, values := range c.header { // "Name:" takes a header away
		if values[0] == "" {
			c.header.Del(name)
		}
	}
	return c, nil
}

// do makes the request. Of a stream it reads the first record only.
func (c curl) do() (cluster.Reply, error) {
	request, err := http.NewRequest(c.method, c.url, bytes.NewReader([]byte(c.body)))
	if err != nil {
		return cluster.Reply{}, err
	}
	request.Header = c.header
	response, err := (&http.Transport{DisableCompression: true}).RoundTrip(request)
	if err != nil {
		return cluster.Reply{}, err
	}
	defer response.Body.Close()
	if response.Header.Get("Mesos-Stream-Id") != "" {
		record, err := cluster.ReadRecord(bufio.NewReader(response.Body))
		return cluster.Reply{Status: response.StatusCode, Header: response.Header, Body: string(record)}, err
	}
	body, err := io.ReadAll(response.Body)
	return cluster.Reply{Status: response.StatusCode, Header: response.Header, Body: string(body)}, err
}

func TestParseCurl(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{`http://h/x?a=b`, `GET http://h/x?a=b  map[Accept:[*/*]]`},
		{`-I http://h/`, `HEAD http://h/  map[Accept:[*/*]]`},
		{
			`-X POST -H Content-Type: application/json -H Accept: text/html -d {"a": "b c"} http://h/`,
			`POST http://h/ {"a": "b c"} map[Accept:[text/html] Content-Type:[application/json]]`,
		},
		{`-X POST -H Content-Type: -d {} http://h/`, `POST http://h/ {} map[Accept:[*/*]]`},
		{`-X POST -d x=1 http://h/`, `POST http://h/ x=1 map[Accept:[*/*] Content-Type:[application/x-www-form-urlencoded]]`},
	} {
		c, err := parseCurl(test.line)
		if got := fmt.Sprint(c.method, " ", c.url, " ", c.body, " ", c.header); err != nil || got != test.want {
			t.Errorf("%q: %v %v, want %v", test.line, got, err, test.want)
		}
	}
}

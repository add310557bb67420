package httpd_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/wire"
)

// request returns a request with headers given as "Name: value" lines.
func request(t *testing.T, method, target string, headers ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, target, http.NoBody)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		r.Header.Add(name, strings.TrimPrefix(value, " "))
	}
	return r
}

func TestAccept(t *testing.T) {
	for _, c := range []struct {
		headers []string
		want    string
	}{
		{nil, wire.JSON},
		{[]string{"Accept: */*"}, wire.JSON},
		{[]string{"Accept: application/*"}, wire.JSON},
		{[]string{"Accept: application/json"}, wire.JSON},
		{[]string{"Accept: APPLICATION/JSON ; q=0.1"}, wire.JSON},
		{[]string{"Accept: application/x-protobuf"}, wire.Protobuf},
		{[]string{"Accept: application/x-protobuf, application/json"}, wire.JSON},
		{[]string{"Accept: application/json;q=0, application/x-protobuf"}, wire.Protobuf},
		{[]string{"Accept: application/json;q=0.0, */*"}, wire.Protobuf},
		{[]string{"Accept: application/json;q=x, */*"}, wire.Protobuf},
		{[]string{"Accept: text/html", "Accept: application/x-protobuf"}, wire.Protobuf},
		{[]string{"Accept: text/html"}, ""},
		{[]string{"Accept: */*;q=0"}, ""},
		{[]string{"Accept:"}, ""},
	} {
		got, err := httpd.Accept(request(t, "POST", "/api/v1", c.headers...))
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: %q %v; want %q", c.headers, got, err, c.want)
		}
		if err != nil && httpd.Status(err) != 406 {
			t.Errorf("%q: %d", c.headers, httpd.Status(err))
		}
	}
}

func TestContentType(t *testing.T) {
	for header, want := range map[string]int{
		"Content-Type: application/json":                  0,
		"Content-Type: application/x-protobuf":            0,
		"Content-Type: application/json; charset=utf-8":   415,
		"Content-Type: Application/JSON":                  415,
		"Content-Type: application/recordio":              415,
		"Content-Type:":                                   415,
		"Content-Typo: application/json":                  400,
		"Content-Type: application/x-www-form-urlencoded": 415,
	} {
		media, err := httpd.ContentType(request(t, "POST", "/api/v1", header))
		if want == 0 && (err != nil || !strings.HasSuffix(header, media)) || want != 0 && httpd.Status(err) != want {
			t.Errorf("%s: %q %v", header, media, err)
		}
	}
}

func TestAgentMedia(t *testing.T) {
	const in, out = "Content-Type: application/json", "Accept: application/recordio"
	for _, c := range []struct {
		headers []string
		want    httpd.Media
		status  int
		err     string
	}{
		{[]string{in}, httpd.Media{Content: wire.JSON, Accept: wire.JSON}, 0, ""},
		{[]string{in, out}, httpd.Media{Content: wire.JSON, Accept: wire.RecordIO, MessageAccept: wire.JSON}, 0, ""},
		{[]string{in, out, "Message-Accept: application/x-protobuf"}, httpd.Media{Content: wire.JSON, Accept: wire.RecordIO, MessageAccept: wire.Protobuf}, 0, ""},
		{[]string{"Content-Type: application/recordio", "Message-Content-Type: application/json"}, httpd.Media{Content: wire.RecordIO, MessageContent: wire.JSON, Accept: wire.JSON}, 0, ""},
		{nil, httpd.Media{}, 400, "Expecting 'Content-Type' to be present"},
		{[]string{"Content-Type: text/html"}, httpd.Media{}, 415, "Expecting 'Content-Type' of application/json or application/x-protobuf or application/recordio"},
		{[]string{"Content-Type: application/recordio"}, httpd.Media{}, 400, "Expecting 'Message-Content-Type' to be set for streaming requests"},
		{[]string{"Content-Type: application/recordio", "Message-Content-Type: text/html"}, httpd.Media{}, 415, "Expecting 'Message-Content-Type' of application/json or application/x-protobuf"},
		{[]string{in, "Message-Content-Type: application/json"}, httpd.Media{}, 415, "Expecting 'Message-Content-Type' to be not set for non-streaming requests"},
		{[]string{in, "Accept: text/html"}, httpd.Media{}, 406, "Expecting 'Accept' to allow application/json or application/x-protobuf or application/recordio"},
		{[]string{in, out, "Message-Accept: text/html"}, httpd.Media{}, 406, "Expecting 'Message-Accept' to allow application/json or application/x-protobuf"},
		{[]string{in, "Message-Accept: application/json"}, httpd.Media{}, 406, "Expecting 'Message-Accept' to be not set for non-streaming responses"},
	} {
		got, err := httpd.AgentMedia(request(t, "POST", "/api/v1", c.headers...))
		switch {
		case c.err == "" && (err != nil || got != c.want):
			t.Errorf("%q: %+v %v", c.headers, got, err)
		case c.err != "" && (err == nil || err.Error() != c.err || httpd.Status(err) != c.status):
			t.Errorf("%q: %v; want %d %s", c.headers, err, c.status, c.err)
		}
	}
}

// sample is the answer in one of golden's errors: the request is a curl
// command in its first line.
func sample(t *testing.T, name string) *http.Response {
	t.Helper()
	_, answer, _ := bytes.Cut(golden.Read(t, name), []byte("\n"))
	if !bytes.Contains(answer, []byte("\r\n\r\n")) {
		answer = bytes.ReplaceAll(answer, []byte("\n"), []byte("\r\n"))
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
	if err != nil {
		t.Fatal(name, err)
	}
	return resp
}

func compare(t *testing.T, name string, serve func(http.ResponseWriter)) {
	t.Helper()
	want := sample(t, name)
	defer want.Body.Close()
	got := httptest.NewRecorder()
	serve(got)
	if got.Code != want.StatusCode {
		t.Errorf("%s: status %d; want %d", name, got.Code, want.StatusCode)
	}
	for header := range want.Header {
		if header != "Date" && got.Header().Get(header) != want.Header.Get(header) {
			t.Errorf("%s: %s: %q; want %q", name, header, got.Header().Get(header), want.Header.Get(header))
		}
	}
	body := make([]byte, max(want.ContentLength, 0))
	if _, err := io.ReadFull(want.Body, body); err != nil {
		t.Fatal(name, err)
	}
	if got.Body.String() != string(body) {
		t.Errorf("%s: %q; want %q", name, got.Body.String(), body)
	}
}

func TestGoldenRefusals(t *testing.T) {
	refuse := func(_ any, err error) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { httpd.Refuse(w, err) }
	}
	compare(t, "errors/bad_accept.txt", refuse(httpd.Accept(request(t, "POST", "/", "Accept: text/html"))))
	compare(t, "errors/form_content_type.txt", refuse(httpd.ContentType(request(t, "POST", "/", "Content-Type: application/x-www-form-urlencoded"))))
	compare(t, "errors/no_content_type.txt", refuse(httpd.ContentType(request(t, "POST", "/"))))
	compare(t, "errors/get_api_v1.txt", refuse(nil, httpd.Method(request(t, "GET", "/api/v1"), "POST")))
	compare(t, "errors/notfound.txt", httpd.NotFound)
	compare(t, "errors/accept_star.txt", func(w http.ResponseWriter) {
		httpd.JSON(w, request(t, "POST", "/"), []byte(`{"type":"GET_HEALTH","get_health":{"healthy":true}}`))
	})
}

package httpd_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/wire"
)

func TestStatusOfRefusals(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{refusal.Invalidf("x"), 400},
		{refusal.Forbiddenf("x"), 403},
		{refusal.NotFoundf("x"), 404},
		{refusal.Conflictf("x"), 409},
		{refusal.Gonef("x"), 410},
		{refusal.TooLargef("x"), 413},
		{refusal.Overloadedf("x"), 429},
		{refusal.NotImplementedf("x"), 501},
		{refusal.Unavailablef("x"), 503},
		{fmt.Errorf("doing something: %w", refusal.Forbiddenf("x")), 403},
		{errors.New("disk on fire"), 500},
	} {
		w := httptest.NewRecorder()
		httpd.Refuse(w, c.err)
		if w.Code != c.want || !strings.HasSuffix(c.err.Error(), w.Body.String()) {
			t.Errorf("%v: %d %q; want %d", c.err, w.Code, w.Body, c.want)
		}
	}
}

func TestEmptyHasNoType(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { httpd.Empty(w, 202) }))
	defer s.Close()
	resp, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, typed := resp.Header["Content-Type"]; typed || resp.StatusCode != http.StatusAccepted || resp.ContentLength != 0 {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestGzipFromMesosSize(t *testing.T) {
	for _, c := range []struct {
		size   int
		accept string
		zipped bool
	}{
		{1023, "gzip", false},
		{1024, "gzip", true},
		{1024, "deflate, GZIP;q=0.5", true},
		{1024, "*", true},
		{1024, "gzip;q=0, *", false},
		{1024, "deflate", false},
		{1024, "", false},
		{1 << 20, "gzip", true},
		{1 << 20, "", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/state", http.NoBody)
		if c.accept != "" {
			r.Header.Set("Accept-Encoding", c.accept)
		}
		w := httptest.NewRecorder()
		want := strings.Repeat("x", c.size)
		httpd.JSON(w, r, []byte(want))
		body := io.Reader(w.Body)
		if zipped := w.Header().Get("Content-Encoding") == "gzip"; zipped != c.zipped {
			t.Errorf("%d bytes for %q: zipped %t", c.size, c.accept, zipped)
		} else if zipped {
			zip, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = zip
		}
		if got, err := io.ReadAll(body); err != nil || string(got) != want {
			t.Errorf("%d bytes for %q: %d bytes, %v", c.size, c.accept, len(got), err)
		}
	}
}

func TestGoldenJSONP(t *testing.T) {
	want := string(golden.Read(t, "master/state_jsonp.json"))
	text := strings.TrimSuffix(strings.TrimPrefix(want, "cb("), ")")
	w := httptest.NewRecorder()
	httpd.JSON(w, httptest.NewRequest(http.MethodGet, "/state?jsonp=cb", http.NoBody), []byte(text))
	if w.Body.String() != want || w.Header().Get("Content-Type") != "text/javascript" {
		t.Errorf("%.50q %v", w.Body, w.Header())
	}
	for _, name := range []string{"alert(1)//", "a b", "<script>", "a\n"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/state", http.NoBody)
		r.URL.RawQuery = "jsonp=" + strings.NewReplacer(" ", "+", "\n", "%0a", "<", "%3c").Replace(name)
		httpd.JSON(w, r, []byte(text))
		if w.Code != 400 {
			t.Errorf("%q: %d", name, w.Code)
		}
	}
}

// A small rendering has a length, a large one is sent as it comes; one that
// fails is refused, or cut when it has begun.
func TestRender(t *testing.T) {
	size, fail := 0, false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpd.Render(w, r, func(out *wire.Writer) error {
			out.BeginArray()
			for range size {
				out.String(strings.Repeat("x", 1000))
			}
			out.EndArray()
			if fail {
				return refusal.Conflictf("failed")
			}
			return nil
		})
	}))
	defer s.Close()
	for _, c := range []struct {
		size   int
		fail   bool
		status int
		length int64
	}{{10, false, 200, 10_031}, {10_000, false, 200, -1}, {10, true, 409, 6}} {
		size, fail = c.size, c.fail
		req, _ := http.NewRequest(http.MethodGet, s.URL, http.NoBody)
		req.Header.Set("Accept-Encoding", "identity")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || resp.ContentLength != c.length || err != nil || !c.fail && len(body) != c.size*1003+1 {
			t.Errorf("%+v: %d, length %d, %d bytes, %v", c, resp.StatusCode, resp.ContentLength, len(body), err)
		}
	}
	size, fail = 10_000, true
	resp, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("a failed rendering looks whole")
	}
}

func TestHeadHasLengthAndNoBody(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpd.JSON(w, r, []byte(`{"a":1}`))
	}))
	defer s.Close()
	resp, err := http.Head(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ContentLength != 7 || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

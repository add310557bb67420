package httpd_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/recordio"
)

// As in our servers: one real port with messages, calls and a stream.
func TestOnePortServesAll(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	inner := libprocess.NewServer(l, libprocess.Options{})
	messages := make(chan string, 1)
	inner.Handle("master", func(_ string, _ ids.UPID, _ libprocess.ConnID, name string, body []byte) {
		messages <- name + " " + string(body)
	})
	ended := make(chan error, 1)
	mux := httpd.NewMux("master")
	mux.Handle("master", "api/v1/scheduler", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := httpd.ReadBody(w, r, 1<<20)
		if err != nil {
			httpd.Refuse(w, err)
			return
		}
		s, err := httpd.OpenStream(w, httpd.StreamOptions{ContentType: wire.JSON, Closed: func(err error) { ended <- err }})
		if err != nil {
			httpd.Refuse(w, err)
			return
		}
		s.Send(event(string(body)))
		s.Heartbeat(event("beat"), 1<<40, true)
		_ = s.Run()
	}))
	outer := httpd.NewServer(inner.Messages(mux), slog.New(slog.DiscardHandler), nil)
	go inner.Serve()
	go outer.Serve(inner.HTTP())
	defer inner.Close()
	defer outer.Close()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.Addr().String()+"/master/api/v1/scheduler", strings.NewReader("subscribed"))
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	records := recordio.NewReader(resp.Body, 0)
	for _, want := range []string{"json:subscribed", "json:beat"} {
		if got, err := records.Next(); string(got) != want || err != nil {
			t.Errorf("%q %v; want %s", got, err, want)
		}
	}
	links := libprocess.NewLinks(libprocess.LinkOptions{})
	defer links.Close()
	links.Send(ids.UPID("master@"+l.Addr().String()), "slave(1)@127.0.0.1:1", "ping", []byte("hi"))
	if got := <-messages; got != "ping hi" {
		t.Errorf("%q", got)
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("the end of the stream has no reason")
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("a cut stream looks whole")
	}
}

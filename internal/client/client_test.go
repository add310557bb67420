package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/client"
	"github.com/meseta-project/meseta/internal/wire"
)

var health = &masterpb.Call{Type: masterpb.Call_GET_HEALTH.Enum()}

func TestDo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil || string(body) != `{"type":"GET_HEALTH"}` || r.Header.Get("Accept") != wire.JSON:
			http.Error(w, "odd request", http.StatusBadRequest)
		case r.Header.Get("Authorization") != "Basic YTpi" || r.Header.Get("X-More") != "1":
			http.Error(w, strings.Repeat("who? ", 10_000), http.StatusUnauthorized)
		default:
			w.Header().Set("Content-Type", wire.JSON)
			io.WriteString(w, `{"type": "GET_HEALTH", "get_health": {"healthy": true}}`)
		}
	}))
	defer server.Close()
	c, err := client.New(client.Config{
		Addresses: []string{server.URL + "/ignored"}, Path: "/api/v1", JSON: true, Authorization: client.Basic("a", "b"),
	})
	if err != nil {
		t.Fatal(err)
	}
	response := &masterpb.Response{}
	if err := c.Do(t.Context(), health, http.Header{"X-More": {"1"}}, response); err != nil || !response.GetGetHealth().GetHealthy() {
		t.Errorf("got %v, %v", response, err)
	}
	err = c.Do(t.Context(), health, nil, nil)
	refused, ok := errors.AsType[*client.Error](err)
	if !ok || refused.Status != http.StatusUnauthorized || len(refused.Message) > 4<<10 || !strings.HasPrefix(refused.Error(), c.Server()+" answered 401 Unauthorized: who? ") {
		t.Errorf("got %v", err)
	}
}

// A call that was sent is not sent to another server, which would do it twice;
// one that could not be sent is.
func TestNotTwice(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			w.Header().Set("Location", "//"+r.Host)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		asked.Add(1)
		panic(http.ErrAbortHandler) // breaks the connection
	}))
	defer server.Close()
	c, err := client.New(client.Config{Addresses: []string{"127.0.0.1:1", server.URL, server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), health, nil, nil); err == nil || asked.Load() != 1 {
		t.Errorf("asked %d times, %v", asked.Load(), err)
	}
}

func TestTemporary(t *testing.T) {
	for status, want := range map[int]bool{
		http.StatusBadRequest: false, http.StatusUnauthorized: false, http.StatusForbidden: false, http.StatusNotFound: false,
		http.StatusNotImplemented: false, http.StatusTemporaryRedirect: true, http.StatusTooManyRequests: true,
		http.StatusInternalServerError: true, http.StatusServiceUnavailable: true,
	} {
		if got := (&client.Error{Status: status}).Temporary(); got != want {
			t.Errorf("%d: %t", status, got)
		}
	}
}

// Waits are random below a bound that doubles to the largest.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := client.Backoff{First: time.Second, Max: 8 * time.Second}
		for range 100 {
			b.Lasted(b.Max)
			for _, seconds := range []int{1, 2, 4, 8, 8} {
				bound := time.Duration(seconds) * time.Second
				began := time.Now()
				if err := b.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > bound || took == 0 {
					t.Errorf("waited %v, bound %v", took, bound)
				}
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(io.ErrClosedPipe)
		if err := b.Wait(ctx); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %v", err)
		}
	})
}

// A stream that sends rubbish is an error and not an endless one.
func TestStreamRubbish(t *testing.T) {
	for _, text := range []string{"x\n", "99999999999999999999\n", "5\nab", "2\n{}"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", wire.Protobuf)
			io.Copy(w, bytes.NewBufferString(text))
		}))
		c, err := client.New(client.Config{Addresses: []string{server.URL}})
		if err != nil {
			t.Fatal(err)
		}
		stream, err := c.Open(t.Context(), health, nil, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Next(&masterpb.Event{}); err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", text, err)
		}
		stream.Close()
		server.Close()
	}
}

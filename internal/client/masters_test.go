package client_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/client"
	"github.com/meseta-project/meseta/internal/fakenet"
	"github.com/meseta-project/meseta/internal/wire"
)

// The fake masters.
const m1, m2, m3 = "10.0.0.1:5050", "10.0.0.2:5050", "10.0.0.3:5050"

// group is masters, some of which may hang. The others tell who leads; if they
// wait, only when that changes.
type group struct {
	fakenet.Network
	transport *http.Transport
	waits     bool
	asked     atomic.Int64 // who leads

	mu     sync.Mutex
	leader string // "": none
	change chan struct{}
	hung   map[string]bool
}

func newGroup(t *testing.T, leader string) *group {
	g := &group{leader: leader, change: make(chan struct{}), hung: map[string]bool{}, waits: true}
	g.transport = &http.Transport{DialContext: g.DialContext}
	t.Cleanup(g.transport.CloseIdleConnections)
	for _, address := range []string{m1, m2, m3} {
		listener, err := g.Listen(address)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(address, w, r) })}
		go server.Serve(listener)
		t.Cleanup(func() { server.Close() })
	}
	return g
}

// lead makes another master lead; hang has some hang from now on.
func (g *group) lead(leader string, hang ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, address := range hang {
		g.hung[address] = true
	}
	g.leader = leader
	close(g.change)
	g.change = make(chan struct{})
}

func (g *group) now(address string) (leader string, hung bool, change chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leader, g.hung[address], g.change
}

func (g *group) serve(address string, w http.ResponseWriter, r *http.Request) {
	leader, hung, change := g.now(address)
	switch {
	case hung:
		<-r.Context().Done()
	case r.URL.Path != "/redirect":
		w.Header().Set("Content-Type", wire.Protobuf)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // an answer that does not end
	default:
		g.asked.Add(1)
		if known := r.Header.Get("If-None-Match"); g.waits && known == `"//`+leader+`"` && leader != address {
			w.Header().Set("Preference-Applied", "wait")
			select {
			case <-change:
				leader, _, _ = g.now(address)
			case <-time.After(time.Minute):
			}
		}
		if leader == "" {
			http.Error(w, "No leader elected", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Location", "//"+leader)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

func (g *group) masters(t *testing.T) *client.Masters {
	t.Helper()
	m, err := client.NewMasters([]string{m1, m2, m3}, g.transport)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Masters that hang do not keep us from finding the one that leads.
func TestFind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, m3)
		g.lead(m3, m1, m2)
		began := time.Now()
		leader, err := g.masters(t).Find(t.Context())
		if err != nil || leader.Host != m3 {
			t.Errorf("%v, %v", leader, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A leader that does not say so itself is none: it hangs, or knows better.
func TestFindNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, m3)
		g.lead(m3, m3)
		began := time.Now()
		if leader, err := g.masters(t).Find(t.Context()); err == nil {
			t.Errorf("found %v", leader)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		g.lead("", m3)
		_, err := g.masters(t).Find(t.Context())
		if refused, ok := errors.AsType[*client.Error](err); !ok || refused.Status != http.StatusServiceUnavailable {
			t.Errorf("got %v", err)
		}
	})
}

// A leader that hangs is left as soon as another leads, with hardly a question
// before, whatever is asked of it: a stream or an answer.
func TestMoved(t *testing.T) {
	ask := map[string]func(ctx context.Context, c *client.Client) error{
		"stream": func(ctx context.Context, c *client.Client) error {
			s, err := c.Open(ctx, health, nil, time.Hour)
			if err != nil {
				return err
			}
			defer s.Close()
			return s.Next(&masterpb.Event{})
		},
		"answer": func(ctx context.Context, c *client.Client) error { return c.Do(ctx, health, nil, nil) },
	}
	for name, ask := range ask {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGroup(t, m1)
				c, err := client.New(client.Config{Addresses: []string{m1, m2, m3}, Transport: g.transport})
				if err != nil {
					t.Fatal(err)
				}
				moved := make(chan error, 1)
				go func() { moved <- ask(t.Context(), c) }()
				time.Sleep(20 * time.Second) // less than a call may take
				if asked := g.asked.Load(); asked > 5 {
					t.Errorf("asked %d times who leads", asked)
				}
				g.lead("", m1)
				g.lead(m2)
				synctest.Wait()
				select {
				case err = <-moved:
				default:
					t.Fatal("not noticed")
				}
				if !errors.Is(err, client.ErrMoved) || c.Server() != "" {
					t.Errorf("at %q, %v", c.Server(), err)
				}
			})
		})
	}
}

// Standbys that do not wait, Mesos's, are asked now and then.
func TestWatchMesos(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, m1)
		g.waits = false
		moved := make(chan error, 1)
		go func() { moved <- g.masters(t).Watch(t.Context(), m1) }()
		time.Sleep(10 * time.Minute)
		if asked := g.asked.Load(); asked > 100 {
			t.Errorf("asked %d times who leads", asked)
		}
		g.lead(m2)
		began := time.Now()
		if err := <-moved; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A watch ends with its context, and hardly asks for as long as nothing changes.
func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, m1)
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.masters(t).Watch(ctx, m1) }()
		time.Sleep(time.Hour) // standbys answer once a minute
		if asked := g.asked.Load(); asked > 70 {
			t.Errorf("asked %d times who leads", asked)
		}
		cancel(errOver)
		if err := <-ended; !errors.Is(err, errOver) {
			t.Errorf("got %v", err)
		}
	})
}

var errOver = errors.New("over")

// A location that is not one of a leader is not gone to.
func TestFindRubbish(t *testing.T) {
	for _, to := range []string{"", "http://%", "ftp://" + m2} {
		synctest.Test(t, func(t *testing.T) {
			g := newGroup(t, to)
			if leader, err := g.masters(t).Find(t.Context()); err == nil {
				t.Errorf("%q leads to %v", to, leader)
			}
		})
	}
}

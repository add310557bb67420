package standalone

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/wire"
)

// group is masters that all say the same of who leads.
type group struct {
	masters []*httptest.Server
	leader  atomic.Pointer[string] // host:port; nil: none
}

func newGroup(t *testing.T, n int) *group {
	g := &group{}
	for range n {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			leader := g.leader.Load()
			if leader == nil {
				http.Error(w, "No leader elected", http.StatusServiceUnavailable)
				return
			}
			w.Header().Set("Location", "//"+*leader)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}))
		t.Cleanup(s.Close)
		g.masters = append(g.masters, s)
	}
	return g
}

func (g *group) address(i int) string { return strings.TrimPrefix(g.masters[i].URL, "http://") }

func (g *group) lead(i int) { g.leader.Store(new(g.address(i))) }

func (g *group) detector(t *testing.T) *Masters {
	t.Helper()
	var all []string
	for i := range g.masters {
		all = append(all, g.address(i))
	}
	m, err := ParseMasters(strings.Join(all, ","), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFollowsTheLeader(t *testing.T) {
	g := newGroup(t, 3)
	g.lead(1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen []string
	for leader := range g.detector(t).Detect(ctx) {
		seen = append(seen, leader.GetPid())
		switch len(seen) {
		case 1: // it dies, and nobody leads
			g.leader.Store(nil)
			g.masters[1].CloseClientConnections()
		case 2:
			g.lead(2)
		case 3:
			cancel()
		}
	}
	want := []string{"master@" + g.address(1), "", "master@" + g.address(2)}
	if strings.Join(seen, " ") != strings.Join(want, " ") {
		t.Errorf("saw %q, want %q", seen, want)
	}
}

// TestBrokenConnection breaks the connection to a leader in whose place another
// leads already: nobody is told of a time without.
func TestBrokenConnection(t *testing.T) {
	g := newGroup(t, 2)
	g.lead(0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for leader := range g.detector(t).Detect(ctx) {
		if leader == nil {
			t.Fatal("the leader was lost")
		}
		if leader.GetPid() == "master@"+g.address(1) {
			return
		}
		g.lead(1)
		g.masters[0].CloseClientConnections()
	}
}

func TestFixedAddress(t *testing.T) {
	m, err := ParseMasters("master@127.0.0.1:5050", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for leader := range m.Detect(t.Context()) {
		if leader.GetPid() != "master@127.0.0.1:5050" {
			t.Errorf("%v leads", leader)
		}
		break
	}
}

func TestAlone(t *testing.T) {
	info := wire.MasterAt(netip.MustParseAddrPort("127.0.0.1:5050"), "localhost")
	alone := New(info)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lost, err := alone.Contend(ctx, info)
	if err != nil {
		t.Fatal(err)
	}
	var seen []*mesos.MasterInfo
	for leader := range alone.Detect(ctx) {
		seen = append(seen, leader)
		cancel()
	}
	<-lost
	if len(seen) != 1 || seen[0] != info {
		t.Errorf("saw %v", seen)
	}
}

func FuzzParseMasters(f *testing.F) {
	f.Add("a:1,master@10.0.0.1:5050")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMasters(text, slog.New(slog.DiscardHandler))
		if err == nil && len(m.addresses) == 0 {
			t.Errorf("%q names nobody", text)
		}
	})
}

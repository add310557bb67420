package masterd

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// waiting asks a standby who leads, to be told when it is not the one known.
func waiting(ctx context.Context, handler http.Handler, prefer, known string) <-chan *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/redirect", nil).WithContext(ctx)
	r.Header.Set("Prefer", prefer)
	r.Header.Set("If-None-Match", `"`+known+`"`)
	answer := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		answer <- w
	}()
	return answer
}

// TestWaitForAnotherLeader: a standby answers when another leads, and not when
// only nobody does; it answers at once who does not know the leader.
func TestWaitForAnotherLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, handler := standby(masterInfo("a", 5050))
		answer := waiting(t.Context(), handler, "wait=60", "//a:5050")
		for _, leader := range []*mesos.MasterInfo{masterInfo("a", 5050), nil} {
			s.leader.Store(leader)
			synctest.Wait()
			if len(answer) > 0 {
				t.Fatalf("answered %q when %v leads", (<-answer).Header(), leader)
			}
		}
		began := time.Now()
		s.leader.Store(masterInfo("b", 5050))
		got := <-answer
		if got.Code != http.StatusTemporaryRedirect || got.Header().Get("Location") != "//b:5050" || got.Header().Get("Preference-Applied") != "wait" {
			t.Errorf("answered %d %q", got.Code, got.Header())
		}
		got = <-waiting(t.Context(), handler, "wait=60", "//a:5050")
		if got.Header().Get("Location") != "//b:5050" || got.Header().Get("Preference-Applied") != "" {
			t.Errorf("answered %d %q", got.Code, got.Header())
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %v", waited)
		}
	})
}

// TestWaitEnds: a question that waits ends by its own time, by ours, with the
// caller and with the master; who does not say how long, the leader itself, and
// one too many are answered at once.
func TestWaitEnds(t *testing.T) {
	own := &mesos.MasterInfo{Id: new("own"), Hostname: new("a"), Port: new(uint32(5050))}
	for _, x := range []struct {
		name, prefer string
		leader       *mesos.MasterInfo
		prepare      func(s *Server, hangUp func())
		want         time.Duration
	}{
		{name: "its time", prefer: "wait=10", want: 10 * time.Second},
		{name: "our time", prefer: "wait=3600", want: longestWait},
		{name: "no time", prefer: "wait=0"},
		{name: "no number", prefer: "wait=-1"},
		{name: "something else", prefer: "respond-async"},
		{name: "nothing"},
		{name: "the leader", prefer: "wait=10", leader: own},
		{name: "one too many", prefer: "wait=10", prepare: func(s *Server, _ func()) { s.leader.waiters.Store(maxWaiters) }},
		{name: "hung up", prefer: "wait=10", prepare: func(_ *Server, hangUp func()) { hangUp() }},
		{name: "the master ends", prefer: "wait=10", prepare: func(s *Server, _ func()) { close(s.stopped) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				leader := x.leader
				if leader == nil {
					leader = masterInfo("a", 5050)
				}
				s, handler := standby(leader)
				ctx, hangUp := context.WithCancel(t.Context())
				defer hangUp()
				if x.prepare != nil {
					x.prepare(s, hangUp)
				}
				before := s.leader.waiters.Load()
				began := time.Now()
				got := <-waiting(ctx, handler, x.prefer, "//a:5050")
				if took := time.Since(began); took != x.want || got.Header().Get("Location") != "//a:5050" {
					t.Errorf("answered %d %q after %v", got.Code, got.Header(), took)
				}
				if after := s.leader.waiters.Load(); after != before {
					t.Errorf("%d wait", after)
				}
			})
		})
	}
}

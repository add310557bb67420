package masterd

import (
	"bufio"
	"bytes"
	"context"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/httpd"
)

// standby returns a master that does not lead, without its loop.
func standby(leader *mesos.MasterInfo) (*Server, http.Handler) {
	own := "own"
	s := &Server{cfg: Config{Info: &mesos.MasterInfo{Id: &own}}, help: httpd.NewHelp("master"), leads: make(chan struct{}), stopped: make(chan struct{})}
	s.leader.Store(leader)
	return s, s.routes()
}

func masterInfo(host string, port int32) *mesos.MasterInfo {
	id := host
	return &mesos.MasterInfo{Id: &id, Hostname: &host, Address: &mesos.Address{Hostname: &host, Port: &port}}
}

// TestStandbyAnswers compares with what Mesos's masters answered that did not
// lead: all that was redirected, and all that got 503.
func TestStandbyAnswers(t *testing.T) {
	for file, leader := range map[string]*mesos.MasterInfo{
		"zookeeper/nonleader_answers.txt":                masterInfo("master1.test", 5050),
		"zookeeper/nonleader_answers_after_failover.txt": masterInfo("master2.test", 5060),
		"zookeeper/nonleader_no_leader_known.txt":        nil,
	} {
		_, handler := standby(leader)
		compared := 0
		for _, sample := range strings.Split(string(golden.Read(t, file)), ">>> ")[1:] {
			request, answer, _ := strings.Cut(sample, "\n")
			method, rest, _ := strings.Cut(request, " ")
			target, body, _ := strings.Cut(rest, " ")
			if !strings.HasPrefix(answer, "HTTP/1.1 307") && !strings.HasPrefix(answer, "HTTP/1.1 503") || skipped(target) {
				continue
			}
			want, err := http.ReadResponse(bufio.NewReader(strings.NewReader(strings.ReplaceAll(answer, "\n", "\r\n"))), nil)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(method, "http://standby"+target, bytes.NewReader([]byte(body)))
			got := httptest.NewRecorder()
			handler.ServeHTTP(got, r)
			if got.Code != want.StatusCode || got.Header().Get("Location") != want.Header.Get("Location") {
				t.Errorf("%s: %s: %d %q, want %d %q", file, request,
					got.Code, got.Header().Get("Location"), want.StatusCode, want.Header.Get("Location"))
			}
			compared++
		}
		if compared < 10 {
			t.Errorf("%s: only %d answers compared", file, compared)
		}
	}
}

// heralds is an elector that nobody is elected by.
type heralds []*mesos.MasterInfo

func (h heralds) Detect(context.Context) iter.Seq[*mesos.MasterInfo] { return slices.Values(h) }

func (h heralds) Contend(context.Context, *mesos.MasterInfo) (<-chan struct{}, error) {
	return nil, errLost
}

// TestEarlierLife: a master that was started again while its earlier life is still
// taken for the leader does not send anybody to itself.
func TestEarlierLife(t *testing.T) {
	const here, elsewhere = "master@10.0.0.1:5050", "master@10.0.0.2:5050"
	for _, x := range []struct {
		id, pid string
		want    int
	}{
		{"earlier", here, http.StatusServiceUnavailable},
		{"another", elsewhere, http.StatusTemporaryRedirect},
	} {
		s, handler := standby(nil)
		s.log = slog.New(slog.DiscardHandler)
		s.cfg.Info.Pid = new(here)
		s.cfg.Elector = heralds{{Id: &x.id, Pid: &x.pid, Hostname: new("host"), Port: new(uint32(5050))}}
		s.followLeader(t.Context())
		for _, path := range []string{"/redirect", "/state"} {
			got := httptest.NewRecorder()
			handler.ServeHTTP(got, httptest.NewRequest(http.MethodGet, path, nil))
			if got.Code != x.want {
				t.Errorf("%s of a standby, led by %s: %d, want %d", path, x.pid, got.Code, x.want)
			}
		}
	}
}

// TestElectedAfterAll: who waits for a master that is taken for the leader is told
// where to go when another one leads instead: the election had in mind a session
// of this master's that was over.
func TestElectedAfterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, handler := standby(&mesos.MasterInfo{Id: new("own")})
		got := httptest.NewRecorder()
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			handler.ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/state", nil))
		}()
		synctest.Wait()
		select {
		case <-answered:
			t.Fatalf("answered at once, with %d", got.Code)
		default:
		}
		s.leader.Store(masterInfo("another", 5050))
		<-answered
		if got.Code != http.StatusTemporaryRedirect || got.Header().Get("Location") != "//another:5050/master/state" {
			t.Errorf("answered with %d to %q", got.Code, got.Header().Get("Location"))
		}
	})
}

// skipped are paths below /redirect: with no leader Mesos answers 503 there
// too, and we 404 as with one.
func skipped(target string) bool { return strings.HasPrefix(target, "/redirect/") }

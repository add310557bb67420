package zookeeper

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/masterd/electtest"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/test/cluster"
)

// testTick makes sessions of 600 ms possible.
const testTick = 300 * time.Millisecond

func elector(t *testing.T, url string) *Elector {
	t.Helper()
	u, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{URL: u, SessionTimeout: 2 * testTick, Log: slog.New(slog.DiscardHandler)})
}

func TestConformance(t *testing.T) {
	server := cluster.StartZooKeeper(t, testTick)
	electtest.Run(t, func(t *testing.T) electtest.Group {
		url := Scheme + server.Addr + "/tests/" + strings.ReplaceAll(t.Name(), "/", "_")
		return electtest.Group{
			Elector: func() electtest.Elector { return elector(t, url) },
			Cut: func(f func()) {
				server.Signal(syscall.SIGSTOP)
				defer server.Signal(syscall.SIGCONT)
				f()
			},
		}
	})
}

// TestGoldenZnodes elects masters with what the samples' masters told of
// themselves and compares the znodes.
func TestGoldenZnodes(t *testing.T) {
	server := cluster.StartZooKeeper(t, testTick)
	for _, sample := range []struct{ file, url string }{
		{"zookeeper/znodes_1_two_masters.json", "/mesos"},
		{"zookeeper/znodes_digest_auth_and_replicated_log.json", "/a/b"},
	} {
		t.Run(sample.file, func(t *testing.T) {
			var nodes []znode
			if err := json.Unmarshal(golden.Read(t, sample.file), &nodes); err != nil {
				t.Fatal(err)
			}
			user := ""
			if strings.Contains(sample.file, "digest") {
				user = "u1:p1@"
			}
			e := elector(t, Scheme+user+server.Addr+sample.url)
			s, err := e.begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			for _, want := range nodes {
				if c, ok := parseName(strings.TrimPrefix(want.Path, sample.url+"/")); ok {
					join(t, e, s, c, want)
				}
			}
			for _, want := range nodes {
				if want.Path != "/" && !strings.Contains(want.Path, "log_replicas") {
					compare(t, s, want)
				}
			}
		})
	}
}

type znode struct {
	Path      string
	Ephemeral bool
	DataText  string `json:"data_text"`
	ACL       []struct {
		Perms  int32
		Scheme string
		ID     string
	}
}

// join creates the candidate of a sample, with its very number.
func join(t *testing.T, e *Elector, s *session, c candidate, want znode) {
	t.Helper()
	info, err := c.decode([]byte(want.DataText))
	if err != nil {
		t.Fatal(err)
	}
	for {
		name, err := e.join(s, wire.AppendSortedJSON(nil, info))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := parseName(name); got.number >= c.number {
			return
		}
		// The sample has a gap, as siblings of other kinds leave.
		if err := s.Delete(e.cfg.URL.Path+"/"+name, -1); err != nil {
			t.Fatal(err)
		}
	}
}

func compare(t *testing.T, s *session, want znode) {
	t.Helper()
	data, stat, err := s.Get(want.Path)
	if err != nil {
		t.Fatalf("%s: %v", want.Path, err)
	}
	if string(data) != want.DataText || (stat.EphemeralOwner != 0) != want.Ephemeral {
		t.Errorf("%s is %s (ephemeral owner %d), want %s", want.Path, data, stat.EphemeralOwner, want.DataText)
	}
	acls, _, err := s.GetACL(want.Path)
	if err != nil {
		t.Fatal(err)
	}
	if len(acls) != len(want.ACL) {
		t.Fatalf("%s has the ACL %v, want %v", want.Path, acls, want.ACL)
	}
	for i, w := range want.ACL {
		if acls[i] != (zk.ACL{Perms: w.Perms, Scheme: w.Scheme, ID: w.ID}) {
			t.Errorf("%s has the ACL %v, want %v", want.Path, acls[i], w)
		}
	}
}

// TestForeignZnodes puts what others may put beside candidates.
func TestForeignZnodes(t *testing.T) {
	server := cluster.StartZooKeeper(t, testTick)
	e := elector(t, Scheme+server.Addr+"/mesos")
	s, err := e.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := e.makePath(s); err != nil {
		t.Fatal(err)
	}
	put := func(name, data string) {
		t.Helper()
		if _, err := s.Create("/mesos/"+name, []byte(data), 0, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
	}
	leader := func() *mesos.MasterInfo {
		t.Helper()
		children, _, err := s.Children("/mesos")
		if err != nil {
			t.Fatal(err)
		}
		info, err := e.read(s, children)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	for _, name := range []string{"log_replicas", "registry", "json.info_", "json.info_12x", "_"} {
		put(name, "not a master")
	}
	if got := leader(); got != nil {
		t.Errorf("%v leads, want nobody", got)
	}
	put("json.info_0000000009", string(wire.AppendSortedJSON(nil, electtest.Master(9))))
	if got := leader(); !proto.Equal(got, electtest.Master(9)) {
		t.Errorf("%v leads, want master 9", got)
	}
	binary, err := wire.Marshal(electtest.Master(8))
	if err != nil {
		t.Fatal(err)
	}
	put("info_0000000008", string(binary))
	if got := leader(); !proto.Equal(got, electtest.Master(8)) {
		t.Errorf("%v leads, want master 8, in protobuf", got)
	}
	put("0000000007", "master@127.0.0.1:5057")
	if got := leader(); got.GetPid() != electtest.Master(7).GetPid() {
		t.Errorf("%v leads, want master 7, by its PID alone", got)
	}
	put("json.info_0000000006", "{")
	if got := leader(); got != nil {
		t.Errorf("%v leads, want nobody: the first is no master", got)
	}
}

// TestWrongCredentials stands for election where others have the say.
func TestWrongCredentials(t *testing.T) {
	server := cluster.StartZooKeeper(t, testTick)
	lost, err := elector(t, Scheme+"u1:p1@"+server.Addr+"/mesos").Contend(t.Context(), electtest.Master(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"", "u1:wrong@"} {
		_, err := elector(t, Scheme+user+server.Addr+"/mesos").Contend(t.Context(), electtest.Master(2))
		if err == nil || !strings.Contains(err.Error(), "user:password") {
			t.Errorf("as %q: got %v, want a refusal with a way out", user, err)
		}
	}
	select {
	case <-lost:
		t.Error("the leader lost")
	default:
	}
}

// TestDeadLeader: nobody waits for the session of a leader that is dead for
// sure. Here it never ends by itself: it is this test's, and the leader's process
// is a listener.
func TestDeadLeader(t *testing.T) {
	server := cluster.StartZooKeeper(t, testTick)
	e := elector(t, Scheme+server.Addr+"/dead")
	process, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	s, err := e.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	at := process.Addr().(*net.TCPAddr).AddrPort()
	if _, err := e.join(s, wire.AppendSortedJSON(nil, wire.MasterAt(at, "leader"))); err != nil {
		t.Fatal(err)
	}

	led := make(chan error, 1)
	go func() {
		_, err := elector(t, Scheme+server.Addr+"/dead").Contend(t.Context(), wire.MasterAt(netip.MustParseAddrPort("127.0.0.1:1"), "standby"))
		led <- err
	}()
	var seen net.Conn
	for range 3 { // the standby looks after it, sees that only a connection broke, and looks on
		if seen != nil {
			_ = seen.Close()
		}
		if seen, err = process.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-led:
		t.Fatalf("another leads while the leader lives: %v", err)
	default:
	}
	_ = process.Close()
	_ = seen.Close()
	select {
	case err := <-led:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("nobody leads")
	}
}

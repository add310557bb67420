// Package etcdtest runs an etcd server with a client port, in tests: the one that
// masters embed. It also sets up others, which [cluster.StartEtcd] starts.
package etcdtest

import (
	"errors"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/meseta-project/meseta/test/cluster"
)

// Server is an etcd server of one member, on loopback.
type Server struct {
	// Addr is where clients connect, host:port.
	Addr string

	t      *testing.T
	config *embed.Config
	mu     sync.Mutex
	etcd   *embed.Etcd
}

const patience = 5 * time.Second

// Start starts a server that runs until the test ends.
func Start(t *testing.T) *Server {
	t.Helper()
	c := embed.NewConfig()
	c.Dir = t.TempDir()
	s := &Server{Addr: address(t), t: t, config: c}
	client, peer := url.URL{Scheme: "http", Host: s.Addr}, url.URL{Scheme: "http", Host: address(t)}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = c.Name + "=" + peer.String()
	c.TickMs, c.ElectionMs = 50, 300
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	s.Up()
	t.Cleanup(s.Down)
	return s
}

func address(t *testing.T) string {
	t.Helper()
	return "127.0.0.1:" + strconv.Itoa(cluster.FreePort(t))
}

// Up starts the server again.
func (s *Server) Up() {
	s.t.Helper()
	etcd, err := embed.StartEtcd(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.etcd = etcd
	s.mu.Unlock()
	limit := time.NewTimer(time.Minute) //nolint:forbidigo // a test's helper
	defer limit.Stop()
	select {
	case <-etcd.Server.ReadyNotify():
	case <-limit.C:
		s.t.Fatal("etcd does not start")
	}
}

// Down stops the server; what it knows stays.
func (s *Server) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.etcd != nil {
		s.etcd.Close()
		s.etcd = nil
	}
}

// Client returns a new client.
func (s *Server) Client() (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{s.Addr}, Logger: zap.NewNop(), DialTimeout: patience})
}

// The users of a server after [Secured].
const (
	Root     = "root"   // may everything
	User     = "meseta" // may read and write beneath the prefix
	Reader   = "reader" // may read beneath the prefix
	Password = "s3cret" // of each
)

// Stranger is somebody who may not use a path of a server after [Secured].
type Stranger struct{ Name, User, Password, Path string }

// Strangers are those who may not even read, where right would be a path beneath
// /meseta/.
func Strangers(right string) []Stranger {
	return []Stranger{
		{"none", "", "", right},
		{"wrong password", User, "wrong", right},
		{"wrong user", "nobody", Password, right},
		{"another's prefix", User, Password, "/other"},
	}
}

// Secured starts a server of Debian's, with flags added to the usual ones, in which
// what begins with /meseta/ is User's and Reader's alone.
func Secured(t *testing.T, flags ...string) *cluster.Etcd {
	t.Helper()
	server := cluster.StartEtcd(t, flags...)
	secure(t, server.Addr, "/meseta/")
	return server
}

// As returns a new client of a server, as a user.
func As(t *testing.T, addr, user string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{addr}, Username: user, Password: Password, Logger: zap.NewNop(), DialTimeout: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// secure turns on authentication at a server.
func secure(t *testing.T, addr, prefix string) {
	t.Helper()
	client := As(t, addr, "")
	ctx, end := clientv3.WithRequireLeader(t.Context()), clientv3.GetPrefixRangeEnd(prefix)
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for user, kind := range map[string]clientv3.PermissionType{
		User: clientv3.PermissionType(clientv3.PermReadWrite), Reader: clientv3.PermissionType(clientv3.PermRead),
	} {
		_, err := client.RoleAdd(ctx, user)
		try(err)
		_, err = client.RoleGrantPermission(ctx, user, prefix, end, kind)
		try(err)
	}
	for _, user := range []string{Root, User, Reader} {
		_, err := client.UserAdd(ctx, user, Password)
		try(err)
		_, err = client.UserGrantRole(ctx, user, user)
		try(err)
	}
	_, err := client.AuthEnable(ctx)
	try(err)
}

// Fill writes until a server is full, by history that compaction takes away.
func Fill(t *testing.T, client *clientv3.Client) {
	t.Helper()
	for range 10000 {
		_, err := client.Put(t.Context(), "/of-others", string(make([]byte, 256<<10)))
		if errors.Is(err, rpctypes.ErrNoSpace) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("it has no quota")
}

// Clear makes room again at a server as its operator would.
func Clear(t *testing.T, addr string, client *clientv3.Client) {
	t.Helper()
	now, err := client.Get(t.Context(), "/of-others")
	if err == nil {
		_, err = client.Compact(t.Context(), now.Header.GetRevision(), clientv3.WithCompactPhysical())
	}
	if err == nil {
		_, err = client.Defragment(t.Context(), addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	Disarm(t, client)
}

// Disarm ends the alarm of a server that was full.
func Disarm(t *testing.T, client *clientv3.Client) {
	t.Helper()
	if _, err := client.AlarmDisarm(t.Context(), &clientv3.AlarmMember{}); err != nil {
		t.Fatal(err)
	}
}

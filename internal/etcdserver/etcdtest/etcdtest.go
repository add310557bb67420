// Package etcdtest runs an etcd server with a client port, in tests.
package etcdtest

import (
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

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
	return clientv3.New(clientv3.Config{Endpoints: []string{s.Addr}, Logger: zap.NewNop(), DialTimeout: 5 * time.Second})
}

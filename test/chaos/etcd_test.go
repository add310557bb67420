package chaos

import (
	"fmt"
	"net/url"
	"os"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// etcdMain is an etcd server of one member, at an address, for as long as nobody
// kills it.
func etcdMain(ip, dir string) {
	c := embed.NewConfig()
	c.Dir = dir
	client, peer := url.URL{Scheme: "http", Host: ip + ":2379"}, url.URL{Scheme: "http", Host: ip + ":2380"}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = c.Name + "=" + peer.String()
	c.TickMs, c.ElectionMs = 50, 300
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	server, err := embed.StartEtcd(c)
	if err == nil {
		err = <-server.Err()
	}
	fmt.Fprintln(os.Stderr, "etcd:", err)
	os.Exit(1)
}

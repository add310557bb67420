package zookeeper

import "github.com/meseta-project/meseta/internal/flags"

// Scheme begins the URLs of groups in ZooKeeper.
const Scheme = "zk://"

// ParseURL reads zk://[user:password@]host[:port],…/path.
func ParseURL(text string) (flags.Servers, error) { return flags.ParseServers(text, "zk", "2181") }

// auth returns the credentials as ZooKeeper's digest scheme has them, "" if
// there are none.
func auth(s flags.Servers) string {
	if s.User == "" {
		return ""
	}
	return s.User + ":" + s.Password
}

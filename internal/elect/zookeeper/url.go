package zookeeper

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Scheme begins the URLs of groups in ZooKeeper.
const Scheme = "zk://"

// defaultPort is the port of a server that is named without one.
const defaultPort = "2181"

// A URL says where in ZooKeeper the masters of a cluster find each other.
type URL struct {
	Servers  []string // host:port each, at least one
	User     string   // of digest authentication; "" without
	Password string
	Path     string // absolute, not the root, without a slash at the end
}

// ParseURL reads zk://[user:password@]host[:port],…/path as Mesos does: the
// path begins at the first slash, and the servers after the last @ before it.
func ParseURL(text string) (URL, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), Scheme)
	if !ok {
		return URL{}, errors.New("a ZooKeeper URL begins with zk://")
	}
	where, path, _ := strings.Cut(rest, "/")
	u := URL{Path: "/" + strings.TrimRight(path, "/")}
	if err := checkPath(u.Path); err != nil {
		return URL{}, err
	}
	if at := strings.LastIndexByte(where, '@'); at >= 0 {
		user, password, ok := strings.Cut(where[:at], ":")
		if !ok || user == "" {
			return URL{}, errors.New("credentials are user:password, before the @")
		}
		u.User, u.Password, where = user, password, where[at+1:]
	}
	for server := range strings.SplitSeq(where, ",") {
		address, err := serverAddress(server)
		if err != nil {
			return URL{}, err
		}
		u.Servers = append(u.Servers, address)
	}
	return u, nil
}

// Auth returns the credentials as ZooKeeper's digest scheme has them, "" if
// there are none.
func (u URL) Auth() string {
	if u.User == "" {
		return ""
	}
	return u.User + ":" + u.Password
}

// String returns the URL without the password, to be shown.
func (u URL) String() string {
	user := ""
	if u.User != "" {
		user = u.User + "@"
	}
	return Scheme + user + strings.Join(u.Servers, ",") + u.Path
}

func checkPath(path string) error {
	if path == "/" {
		return errors.New("a path is missing, such as zk://host:2181/mesos: the root is not for one cluster alone")
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsFunc(part, func(r rune) bool { return r < ' ' }) {
			return fmt.Errorf("%q is not a path in ZooKeeper", path)
		}
	}
	return nil
}

func serverAddress(server string) (string, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = strings.Trim(server, "[]"), defaultPort
		if strings.Contains(host, ":") && !strings.HasPrefix(server, "[") {
			return "", fmt.Errorf("%q is not host:port", server)
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return "", fmt.Errorf("%q is not host:port", server)
	}
	return net.JoinHostPort(host, port), nil
}

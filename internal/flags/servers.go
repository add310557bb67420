package flags

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Servers says where in a shared store the masters of a cluster meet, as
// --zk and --etcd have it.
type Servers struct {
	Scheme    string   // such as "zk"
	Addresses []string // host:port each, at least one
	User      string   // "" without
	Password  string
	Path      string // absolute, not the root, without a slash at the end
}

// ParseServers reads SCHEME://[user:password@]host[:port],…/path as Mesos does:
// the path begins at the first slash, and the servers after the last @ before
// it. A server without a port has the one given.
func ParseServers(text, scheme, port string) (Servers, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), scheme+"://")
	if !ok {
		return Servers{}, fmt.Errorf("it must begin with %s://", scheme)
	}
	where, path, _ := strings.Cut(rest, "/")
	s := Servers{Scheme: scheme, Path: "/" + strings.TrimRight(path, "/")}
	if err := checkPath(s.Path); err != nil {
		return Servers{}, err
	}
	if at := strings.LastIndexByte(where, '@'); at >= 0 {
		user, password, ok := strings.Cut(where[:at], ":")
		if !ok || user == "" {
			return Servers{}, errors.New("credentials are user:password, before the @")
		}
		s.User, s.Password, where = user, password, where[at+1:]
	}
	for server := range strings.SplitSeq(where, ",") {
		address, err := serverAddress(server, port)
		if err != nil {
			return Servers{}, err
		}
		s.Addresses = append(s.Addresses, address)
	}
	return s, nil
}

// String returns the text that s was read from, without the password, to be
// shown.
func (s Servers) String() string {
	user := ""
	if s.User != "" {
		user = s.User + "@"
	}
	return s.Scheme + "://" + user + strings.Join(s.Addresses, ",") + s.Path
}

func checkPath(path string) error {
	if path == "/" {
		return errors.New("a path is missing, such as /mesos after the servers: the root is not for one cluster alone")
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsFunc(part, func(r rune) bool { return r < ' ' }) {
			return fmt.Errorf("%q is not a path", path)
		}
	}
	return nil
}

func serverAddress(server, defaultPort string) (string, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = strings.Trim(server, "[]"), defaultPort
		if strings.Contains(host, ":") && !strings.HasPrefix(server, "[") {
			return "", fmt.Errorf("%q is not host:port", server)
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" || strings.ContainsAny(host, " []%") {
		return "", fmt.Errorf("%q is not host:port", server)
	}
	return net.JoinHostPort(host, port), nil
}

package cli

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/meseta-project/meseta/internal/flags"
)

// networkFlags are where a server listens and under which address others know
// it; masters and agents have them in common.
type networkFlags struct {
	IP, AdvertiseIP, Hostname string
	Port, AdvertisePort       uint16
	LookUpHostname            bool
}

func (n *networkFlags) network(set *flags.Set, port uint16) {
	set.Group("Network")
	set.String(&n.IP, "ip", "", "IP address to listen on. By default all, and the one that the host's name has is advertised.").Optional()
	set.Port(&n.Port, "port", port, "Port to listen on; 0 for any that is free.")
	set.String(&n.AdvertiseIP, "advertise_ip", "", "IP address under which others reach this process, if not the one listened on.").Optional()
	set.Port(&n.AdvertisePort, "advertise_port", 0, "Port under which others reach this process, if not the one listened on.").Optional()
	set.String(&n.Hostname, "hostname", "", "Host name to advertise. By default the system's, or the IP address with --no-hostname_lookup.").Optional()
	set.Bool(&n.LookUpHostname, "hostname_lookup", true, "Look up the name of the IP address. Without, the address is advertised as the name.")
}

// portPatience is how long a port may still be in use: a process that was killed in
// the middle of starting another one leaves it the port for a moment.
const portPatience = time.Second

// listen opens the port.
func (n *networkFlags) listen() (net.Listener, error) {
	address := net.JoinHostPort(n.IP, strconv.Itoa(int(n.Port)))
	l, err := net.Listen("tcp", address) //nolint:noctx // nothing to cancel yet
	for end := time.Now().Add(portPatience); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(end); {
		time.Sleep(portPatience / 50)
		l, err = net.Listen("tcp", address) //nolint:noctx // nothing to cancel yet
	}
	if err != nil {
		return nil, fmt.Errorf("%w: is another one running? choose another --port, or --port=0 for a free one", err)
	}
	return l, nil
}

// advertised returns the address under which others reach what l listens on.
func (n *networkFlags) advertised(l net.Listener) (netip.AddrPort, error) {
	bound := l.Addr().(*net.TCPAddr).AddrPort()
	ip, port := bound.Addr().Unmap(), bound.Port()
	if n.AdvertisePort != 0 {
		port = n.AdvertisePort
	}
	var err error
	switch {
	case n.AdvertiseIP != "":
		ip, err = netip.ParseAddr(n.AdvertiseIP)
	case ip.IsUnspecified():
		ip, err = ownAddress()
	}
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("find the address to advertise (say it with --advertise_ip): %w", err)
	}
	return netip.AddrPortFrom(ip, port), nil
}

// ownAddress returns the address that the machine's name stands for, or else
// its first one, or else loopback.
func ownAddress() (netip.Addr, error) {
	var found []netip.Addr
	if name, err := os.Hostname(); err == nil {
		addresses, err := net.LookupHost(name) //nolint:noctx // at start, with nothing to cancel it
		for _, a := range addresses {
			if ip, err := netip.ParseAddr(a); err == nil {
				found = append(found, ip)
			}
		}
		_ = err // a machine may have a name that nobody knows
	}
	interfaces, err := net.InterfaceAddrs()
	for _, a := range interfaces {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			found = append(found, prefix.Addr())
		}
	}
	for _, ip := range found {
		if ip.Is4() && !ip.IsLoopback() {
			return ip, nil
		}
	}
	for _, ip := range found {
		if ip.Is4() {
			return ip, nil
		}
	}
	return netip.Addr{}, errors.Join(errors.New("this machine has no IPv4 address"), err)
}

// hostname returns the name to advertise for an address.
func (n *networkFlags) hostname(ip netip.Addr) string {
	if n.Hostname != "" {
		return n.Hostname
	}
	if !n.LookUpHostname {
		return ip.String()
	}
	if ip.IsLoopback() {
		return "localhost"
	}
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return ip.String()
}

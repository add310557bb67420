package ids

import (
	"net/netip"
	"strings"

	"github.com/meseta-project/meseta/internal/refusal"
)

// UPID is the address of a libprocess actor, "<process>@<ip>:<port>", such as
// "slave(1)@127.0.0.1:5051".
type UPID string

// UPIDFor returns the address of the actor called process at addr.
func UPIDFor(process string, addr netip.AddrPort) UPID {
	return UPID(process + "@" + addr.String())
}

// ParseUPID returns s as a UPID, or a [refusal.Invalid]. The process may be
// empty; the address is an IP address with a port: host names, which
// libprocess would look up, are refused, since nobody announces himself with
// one.
func ParseUPID(s string) (UPID, error) {
	process, addr, ok := strings.Cut(s, "@")
	if !ok {
		return "", refusal.Invalidf("%q is no libprocess address: it has no '@'", s)
	}
	if strings.ContainsAny(process, "/ \t\r\n") {
		return "", refusal.Invalidf("%q is no libprocess address: bad process name", s)
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return "", refusal.Invalidf("%q is no libprocess address: %v", s, err)
	}
	return UPIDFor(process, ap), nil
}

// Process returns the name of the actor, before the '@'.
func (u UPID) Process() string {
	process, _, _ := strings.Cut(string(u), "@")
	return process
}

// Address returns the "ip:port" after the '@'.
func (u UPID) Address() string {
	_, addr, _ := strings.Cut(string(u), "@")
	return addr
}

// AddrPort returns the address parsed; it is the zero value if u does not come
// from [ParseUPID] or [UPIDFor].
func (u UPID) AddrPort() netip.AddrPort {
	ap, err := netip.ParseAddrPort(u.Address())
	if err != nil {
		return netip.AddrPort{}
	}
	return ap
}

package wire

import (
	"encoding/binary"
	"net/netip"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
)

// IPNumber returns an IPv4 address as MasterInfo.ip has it: its bytes in
// network order, read as a little-endian number. It is 0 for other addresses.
func IPNumber(ip netip.Addr) uint32 {
	if !ip.Is4() {
		return 0
	}
	four := ip.As4()
	return binary.LittleEndian.Uint32(four[:])
}

// MasterAt returns what can be told of the master at an address by that alone.
// Its ID is its PID.
func MasterAt(at netip.AddrPort, hostname string) *mesos.MasterInfo {
	pid, ip, number, port := string(ids.UPIDFor("master", at)), at.Addr().String(), IPNumber(at.Addr()), int32(at.Port())
	low := uint32(at.Port())
	return &mesos.MasterInfo{
		Id: &pid, Pid: &pid, Ip: &number, Port: &low, Hostname: &hostname,
		Address: &mesos.Address{Hostname: &hostname, Ip: &ip, Port: &port},
	}
}

package zookeeper

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/wire"
)

// The labels of candidates' znodes: what comes before the number in the name.
const (
	labelJSON   = "json.info" // a MasterInfo in JSON, keys in alphabetical order
	labelBinary = "info"      // a MasterInfo in protobuf, as masters before 0.24 wrote it
	labelNone   = ""          // a bare PID, as masters before 0.18 wrote it
)

// infoLimit is the largest content of a candidate's znode, in bytes. A master
// writes a few hundred.
const infoLimit = 64 << 10

// A candidate is a master that leads or would, by its znode.
type candidate struct {
	name   string
	label  string
	number int32 // the lowest leads
}

// parseName reads the name of a child of the group: LABEL_NUMBER or NUMBER.
// Anything else, such as Mesos's log_replicas, is no candidate.
func parseName(name string) (candidate, bool) {
	label, number := labelNone, name
	if at := strings.LastIndexByte(name, '_'); at >= 0 {
		label, number = name[:at], name[at+1:]
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || strings.HasPrefix(number, "+") {
		return candidate{}, false
	}
	return candidate{name, label, int32(n)}, true
}

// lowest returns the candidate that leads.
func lowest(children []string) (candidate, bool) {
	var all []candidate
	for _, name := range children {
		if c, ok := parseName(name); ok {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return candidate{}, false
	}
	return slices.MinFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.name, b.name))
	}), true
}

// decode reads the content of a candidate's znode.
func (c candidate) decode(data []byte) (*mesos.MasterInfo, error) {
	if len(data) > infoLimit {
		return nil, fmt.Errorf("%d bytes are more than a master writes", len(data))
	}
	info := &mesos.MasterInfo{}
	switch c.label {
	case labelJSON:
		if err := wire.UnmarshalJSON(data, info); err != nil {
			return nil, err
		}
	case labelBinary:
		if err := wire.Unmarshal(data, info); err != nil {
			return nil, err
		}
	case labelNone:
		return infoOf(string(data))
	default:
		return nil, fmt.Errorf("unknown label %q", c.label)
	}
	return info, named(info)
}

// named makes sure that a master's PID is there and is one; older masters tell
// address and port alone.
func named(info *mesos.MasterInfo) error {
	if info.GetPid() == "" && info.GetAddress() != nil {
		info.Pid = new(fmt.Sprintf("master@%s:%d", info.GetAddress().GetIp(), info.GetAddress().GetPort()))
	}
	if _, err := ids.ParseUPID(info.GetPid()); err != nil {
		return fmt.Errorf("it names no master: %w", err)
	}
	return nil
}

// infoOf returns what can be told of a master by its PID alone.
func infoOf(text string) (*mesos.MasterInfo, error) {
	pid, err := ids.ParseUPID(text)
	if err != nil {
		return nil, err
	}
	at := pid.AddrPort()
	info := wire.MasterAt(at, at.Addr().String())
	info.Pid = &text
	return info, nil
}

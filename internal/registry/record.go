package registry

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
)

const (
	keyMaster       = "master"
	keyMaintenance  = "maintenance"
	keyCapabilities = "capabilities"
)

func keyAgent(id ids.AgentID) string       { return "agents/" + string(id) }
func keyUnreachable(id ids.AgentID) string { return "unreachable/" + string(id) }
func keyGone(id ids.AgentID) string        { return "gone/" + string(id) }
func keyMachine(key MachineKey) string     { return "machines/" + string(key) }
func keyWeight(role string) string         { return "weights/" + role }
func keyQuota(role string) string          { return "quota/" + role }

// A MachineKey names a machine as Mesos compares them: the host name's case does
// not matter.
type MachineKey string

// KeyOfMachine returns the name of a machine.
func KeyOfMachine(hostname, ip string) MachineKey {
	return MachineKey(strings.ToLower(hostname) + "|" + ip)
}

func keyOf(id *mesos.MachineID) MachineKey { return KeyOfMachine(id.GetHostname(), id.GetIp()) }

// Load returns the registry that the records make up. A record that cannot be
// read, or whose key is not known, is an error: to lead without it would be to
// forget it.
func Load(records iter.Seq2[string, []byte]) (*Registry, error) {
	r := New()
	for key, value := range records {
		if err := r.load(key, value); err != nil {
			return nil, fmt.Errorf("reading registry record %q: %w", key, err)
		}
	}
	return r, nil
}

func (r *Registry) load(key string, value []byte) error {
	kind, name, _ := strings.Cut(key, "/")
	id := ids.AgentID(name)
	switch kind {
	case keyMaster:
		var m messages.Registry_Master
		err := m.UnmarshalVT(value)
		r.master = m.Info
		return err
	case "agents":
		return read(value, r.agents, id, &messages.Registry_Slave{})
	case "unreachable":
		return readMark(value, &r.unreachable, id, &messages.Registry_UnreachableSlave{})
	case "gone":
		return readMark(value, &r.gone, id, &messages.Registry_GoneSlave{})
	case "machines":
		var m messages.Registry_Machine
		err := m.UnmarshalVT(value)
		r.machines.Put(MachineKey(name), &m)
		return err
	case "quota":
		return read(value, r.quotas, name, &quotapb.QuotaConfig{})
	case "weights":
		var w messages.Registry_Weight
		err := w.UnmarshalVT(value)
		r.weights[name] = w.GetInfo().GetWeight()
		return err
	case keyMaintenance, keyCapabilities:
		return r.loadRest(value)
	}
	return errors.New("unknown key")
}

// loadRest reads the lists that are stored whole.
func (r *Registry) loadRest(value []byte) error {
	var m messages.Registry
	if err := m.UnmarshalVT(value); err != nil {
		return err
	}
	r.schedules = append(r.schedules, m.Schedules...)
	r.capabilities = append(r.capabilities, m.MinimumCapabilities...)
	return nil
}

// A message is what protoc-gen-go-vtproto makes of one.
type message interface {
	MarshalVT() ([]byte, error)
	UnmarshalVT([]byte) error
}

func read[K comparable, M message](value []byte, into map[K]M, key K, m M) error {
	if err := m.UnmarshalVT(value); err != nil {
		return err
	}
	into[key] = m
	return nil
}

func readMark[M interface {
	message
	marked
}](value []byte, into *marks[M], id ids.AgentID, m M) error {
	if err := m.UnmarshalVT(value); err != nil {
		return err
	}
	into.set(id, m)
	return nil
}

// encode encodes a record: the same value is the same bytes.
func encode(m message) []byte {
	marshal := m.MarshalVT
	if quota, ok := m.(*quotapb.QuotaConfig); ok { // it has maps
		marshal = func() ([]byte, error) { return proto.MarshalOptions{Deterministic: true}.Marshal(quota) }
	}
	data, err := marshal()
	invariant.Check(err == nil, "registry record cannot be encoded", "error", err)
	return data
}

// Proto returns the whole registry as Mesos shows it at /registrar(1)/registry
// and stores it in its replicated log.
func (r *Registry) Proto() *messages.Registry {
	all := &messages.Registry{
		Slaves:              &messages.Registry_Slaves{Slaves: values(r.agents)},
		Unreachable:         &messages.Registry_UnreachableSlaves{Slaves: r.unreachable.records()},
		Gone:                &messages.Registry_GoneSlaves{Slaves: r.gone.records()},
		Machines:            &messages.Registry_Machines{},
		Schedules:           r.schedules,
		QuotaConfigs:        values(r.quotas),
		MinimumCapabilities: r.capabilities,
	}
	if r.master != nil {
		all.Master = &messages.Registry_Master{Info: r.master}
	}
	for _, info := range r.Machines() {
		all.Machines.Machines = append(all.Machines.Machines, &messages.Registry_Machine{Info: info})
	}
	for _, role := range sorted(r.weights) {
		all.Weights = append(all.Weights, weightRecord(role, r.weights[role]))
	}
	return all
}

func weightRecord(role string, weight float64) *messages.Registry_Weight {
	return &messages.Registry_Weight{Info: &mesos.WeightInfo{Role: &role, Weight: &weight}}
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// values returns the values of m in the order of its keys.
func values[K cmp.Ordered, V any](m map[K]V) []V {
	all := make([]V, 0, len(m))
	for _, k := range sorted(m) {
		all = append(all, m[k])
	}
	return all
}

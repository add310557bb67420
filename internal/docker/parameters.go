package docker

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/flags"
)

// parameters sets what frameworks give as options of docker run. An option that is
// not known is an error: to leave it out could make a container less safe than it
// was meant to be.
func (r *request) parameters(all []*mesos.Parameter) error {
	for i, p := range all {
		key := p.GetKey()
		if key == "net" {
			key = "network"
		}
		if key == "network" && slices.ContainsFunc(all[:i], func(q *mesos.Parameter) bool { return q.GetKey() == "net" || q.GetKey() == "network" }) {
			return fmt.Errorf("the Docker parameter '%s' is given twice", p.GetKey())
		}
		set, ok := parameters[key]
		if !ok {
			return fmt.Errorf("the Docker parameter '%s' is not supported", p.GetKey())
		}
		if err := set(r, p.GetValue()); err != nil {
			return fmt.Errorf("the Docker parameter '%s' is '%s': %w", p.GetKey(), p.GetValue(), err)
		}
	}
	return nil
}

type setter func(*request, string) error

// parameters are the options of docker run that may be given.
var parameters = map[string]setter{
	"add-host":           list(func(r *request) *[]string { return &r.host.ExtraHosts }),
	"cap-add":            list(func(r *request) *[]string { return &r.host.CapAdd }),
	"cap-drop":           list(func(r *request) *[]string { return &r.host.CapDrop }),
	"dns-opt":            list(func(r *request) *[]string { return &r.host.DNSOptions }),
	"dns-option":         list(func(r *request) *[]string { return &r.host.DNSOptions }),
	"dns-search":         list(func(r *request) *[]string { return &r.host.DNSSearch }),
	"env":                list(func(r *request) *[]string { return &r.config.Env }),
	"group-add":          list(func(r *request) *[]string { return &r.host.GroupAdd }),
	"device-cgroup-rule": list(func(r *request) *[]string { return &r.host.DeviceCgroupRules }),
	"net-alias":          list(func(r *request) *[]string { return &r.at.Aliases }),
	"network-alias":      list(func(r *request) *[]string { return &r.at.Aliases }),
	"link":               list(func(r *request) *[]string { return &r.host.Links }),
	"security-opt":       list(func(r *request) *[]string { return &r.host.SecurityOpt }),
	"volume":             list(func(r *request) *[]string { return &r.host.Binds }),
	"volumes-from":       list(func(r *request) *[]string { return &r.host.VolumesFrom }),

	"cgroup-parent": text(func(r *request) *string { return &r.host.CgroupParent }),
	"cpuset-cpus":   text(func(r *request) *string { return &r.host.CpusetCpus }),
	"cpuset-mems":   text(func(r *request) *string { return &r.host.CpusetMems }),
	"domainname":    text(func(r *request) *string { return &r.config.Domainname }),
	"hostname":      text(func(r *request) *string { return &r.config.Hostname }),
	"network":       text(func(r *request) *string { return &r.network }),
	"runtime":       text(func(r *request) *string { return &r.host.Runtime }),
	"stop-signal":   text(func(r *request) *string { return &r.config.StopSignal }),
	"user":          text(func(r *request) *string { return &r.config.User }),
	"volume-driver": text(func(r *request) *string { return &r.driver }),
	"workdir":       text(func(r *request) *string { return &r.config.WorkingDir }),

	"cpu-period":         number(func(r *request) *int64 { return &r.host.CPUPeriod }),
	"cpu-quota":          number(func(r *request) *int64 { return &r.host.CPUQuota }),
	"cpu-shares":         number(func(r *request) *int64 { return &r.host.CPUShares }),
	"memory":             size(func(r *request) *int64 { return &r.host.Memory }),
	"memory-reservation": size(func(r *request) *int64 { return &r.host.MemoryReservation }),
	"memory-swap":        size(func(r *request) *int64 { return &r.host.MemorySwap }),
	"shm-size":           size(func(r *request) *int64 { return &r.host.ShmSize }),
	"pids-limit":         pointer(func(r *request) **int64 { return &r.host.PidsLimit }),
	"memory-swappiness":  pointer(func(r *request) **int64 { return &r.host.MemorySwappiness }),

	"privileged":  yes(func(r *request) *bool { return &r.host.Privileged }),
	"publish-all": yes(func(r *request) *bool { return &r.host.PublishAllPorts }),
	"read-only":   yes(func(r *request) *bool { return &r.host.ReadonlyRootfs }),

	"label":       pair(func(r *request) *map[string]string { return &r.config.Labels }),
	"log-opt":     pair(func(r *request) *map[string]string { return &r.host.LogConfig.Config }),
	"storage-opt": pair(func(r *request) *map[string]string { return &r.host.StorageOpt }),
	"sysctl":      pair(func(r *request) *map[string]string { return &r.host.Sysctls }),
	"tmpfs":       pairBy(":", func(r *request) *map[string]string { return &r.host.Tmpfs }),
	"ulimit":      (*request).ulimit,
	"device":      (*request).device,
	"dns":         (*request).dns,
	"ip":          ip(func(c *network.EndpointIPAMConfig) *netip.Addr { return &c.IPv4Address }),
	"ip6":         ip(func(c *network.EndpointIPAMConfig) *netip.Addr { return &c.IPv6Address }),
	"publish":     (*request).published,
	"expose":      func(r *request, v string) error { return r.publish(v, "", netip.Addr{}) },
	"cpus":        (*request).cpus,
	"ipc":         func(r *request, v string) error { r.host.IpcMode = container.IpcMode(v); return nil },
	"pid":         func(r *request, v string) error { r.host.PidMode = container.PidMode(v); return nil },
	"uts":         func(r *request, v string) error { r.host.UTSMode = container.UTSMode(v); return nil },
	"userns":      func(r *request, v string) error { r.host.UsernsMode = container.UsernsMode(v); return nil },
	"cgroupns":    func(r *request, v string) error { r.host.CgroupnsMode = container.CgroupnsMode(v); return nil },
	"log-driver": func(r *request, v string) error {
		r.host.LogConfig.Type = v
		return nil
	},
	"entrypoint": func(r *request, v string) error {
		r.config.Entrypoint = []string{v}
		return nil
	},
	"oom-kill-disable": func(r *request, v string) error {
		on, err := strconv.ParseBool(v)
		r.host.OomKillDisable = &on
		return err
	},
	"oom-score-adj": func(r *request, v string) error {
		n, err := strconv.Atoi(v)
		r.host.OomScoreAdj = n
		return err
	},
	"init": func(r *request, v string) error {
		on, err := strconv.ParseBool(v)
		r.host.Init = &on
		return err
	},
}

func list(of func(*request) *[]string) setter {
	return func(r *request, v string) error {
		*of(r) = append(*of(r), v)
		return nil
	}
}

func text(of func(*request) *string) setter {
	return func(r *request, v string) error {
		*of(r) = v
		return nil
	}
}

func number(of func(*request) *int64) setter {
	return func(r *request, v string) (err error) {
		*of(r), err = strconv.ParseInt(v, 10, 64)
		return err
	}
}

func pointer(of func(*request) **int64) setter {
	return func(r *request, v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		*of(r) = &n
		return err
	}
}

func yes(of func(*request) *bool) setter {
	return func(r *request, v string) (err error) {
		*of(r), err = strconv.ParseBool(v)
		return err
	}
}

func pair(of func(*request) *map[string]string) setter { return pairBy("=", of) }

func pairBy(separator string, of func(*request) *map[string]string) setter {
	return func(r *request, v string) error {
		key, value, _ := strings.Cut(v, separator)
		if *of(r) == nil {
			*of(r) = map[string]string{}
		}
		(*of(r))[key] = value
		return nil
	}
}

// size reads 512m and the like, which is how docker run writes bytes; -1 is no limit.
func size(of func(*request) *int64) setter {
	return func(r *request, v string) error {
		if v == "-1" {
			*of(r) = -1
			return nil
		}
		digits := len(v) - len(strings.TrimLeft(v, "0123456789"))
		n, unit := v[:digits], strings.ToUpper(v[digits:])
		unit = strings.TrimSuffix(strings.TrimSuffix(unit, "B"), "I") + "B"
		bytes, err := flags.ParseBytes(n + unit)
		if err == nil && bytes > math.MaxInt64 {
			err = errors.New("it is too much")
		}
		*of(r) = int64(bytes)
		return err
	}
}

func (r *request) ulimit(v string) error {
	name, limits, _ := strings.Cut(v, "=")
	soft, hard, both := strings.Cut(limits, ":")
	if !both {
		hard = soft
	}
	u := container.Ulimit{Name: name}
	var err error
	if u.Soft, err = strconv.ParseInt(soft, 10, 64); err != nil {
		return err
	}
	if u.Hard, err = strconv.ParseInt(hard, 10, 64); err != nil {
		return err
	}
	r.host.Ulimits = append(r.host.Ulimits, &u)
	return nil
}

// device reads HOST[:CONTAINER[:rwm]].
func (r *request) device(v string) error {
	parts := strings.Split(v, ":")
	d := container.DeviceMapping{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
	if len(parts) > 3 || !path.IsAbs(parts[0]) {
		return errors.New("want HOST[:CONTAINER[:rwm]]")
	}
	if len(parts) > 1 {
		d.PathInContainer = parts[1]
	}
	if len(parts) > 2 {
		d.CgroupPermissions = parts[2]
	}
	r.host.Devices = append(r.host.Devices, d)
	return nil
}

func ip(of func(*network.EndpointIPAMConfig) *netip.Addr) setter {
	return func(r *request, v string) (err error) {
		if r.at.IPAMConfig == nil {
			r.at.IPAMConfig = &network.EndpointIPAMConfig{}
		}
		*of(r.at.IPAMConfig), err = netip.ParseAddr(v)
		return err
	}
}

func (r *request) dns(v string) error {
	at, err := netip.ParseAddr(v)
	r.host.DNS = append(r.host.DNS, at)
	return err
}

func (r *request) cpus(v string) error {
	n, err := strconv.ParseFloat(v, 64)
	r.host.NanoCPUs = int64(n * 1e9)
	return err
}

// published reads [[IP:]HOST:]CONTAINER[/PROTOCOL].
func (r *request) published(v string) error {
	rest, inside, ok := cutLast(v)
	if !ok {
		return r.publish(v, "0", netip.Addr{})
	}
	ip, outside, ok := cutLast(rest)
	if !ok {
		return r.publish(inside, rest, netip.Addr{})
	}
	at, err := netip.ParseAddr(strings.Trim(ip, "[]"))
	if err != nil {
		return err
	}
	return r.publish(inside, outside, at)
}

func cutLast(v string) (before, after string, ok bool) {
	at := strings.LastIndexByte(v, ':')
	if at < 0 {
		return "", v, false
	}
	return v[:at], v[at+1:], true
}

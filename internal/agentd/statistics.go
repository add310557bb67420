package agentd

import (
	"cmp"
	"maps"
	"math"
	"net/http"
	"os"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/resources"
)

// serveContainers is /containers.
func (s *Server) serveContainers(w http.ResponseWriter, r *http.Request) error {
	s.containersPaced.ServeHTTP(w, r)
	return nil
}

// serveStatistics is /monitor/statistics.
func (s *Server) serveStatistics(w http.ResponseWriter, r *http.Request) error {
	s.statisticsPaced.ServeHTTP(w, r)
	return nil
}

func (s *Server) writeContainers(w http.ResponseWriter, r *http.Request) error {
	only := r.URL.Query().Get("container_id")
	return s.writeRunning(w, r, true, func(x *agent.ExecutorRow) bool {
		return only == "" || only == string(x.Run.Container)
	})
}

func (s *Server) writeStatistics(w http.ResponseWriter, r *http.Request) error {
	return s.writeRunning(w, r, false, func(*agent.ExecutorRow) bool { return true })
}

// writeRunning writes the runs that there are, and what they use: as containers,
// or as executors.
func (s *Server) writeRunning(w http.ResponseWriter, r *http.Request, containers bool, chosen func(*agent.ExecutorRow) bool) error {
	v, err := s.recovered(r.Context())
	if err != nil {
		return err
	}
	httpd.Render(w, r, func(out *wire.Writer) error {
		out.BeginArray()
		for _, x := range v.running() {
			if chosen(x) {
				v.writeRun(out, x, containers)
			}
		}
		out.EndArray()
		return nil
	})
	return nil
}

func (v *view) writeRun(w *wire.Writer, x *agent.ExecutorRow, container bool) {
	w.BeginObject()
	if container {
		w.Key("container_id").String(string(x.Run.Container))
	}
	w.Key("executor_id").String(string(x.Run.Executor))
	w.Key("executor_name").String(x.Info.GetName())
	w.Key("framework_id").String(string(x.Run.Framework))
	w.Key("source").String(x.Info.GetSource())
	w.Key("statistics").SortedMessage(v.statistics(x.Run.Container, v.allowed(x)))
	writeStalls(w, v.server.stalls(x.Run.Container))
	if container {
		w.Key("status").SortedMessage(v.server.containerStatus(x.Run.Container, executorPID(x)))
	}
	w.EndObject()
}

// executorPID returns the process of a run: that of a built-in executor is the
// agent's own.
func executorPID(x *agent.ExecutorRow) int {
	if x.PID == 0 {
		return os.Getpid()
	}
	return x.PID
}

func (s *Server) containerStatus(id ids.ContainerID, pid int) *mesos.ContainerStatus {
	n := uint32(pid)
	return &mesos.ContainerStatus{ContainerId: containerID(id), ExecutorPid: &n, NetworkInfos: s.containerizer.Networks(id), CgroupInfo: s.cgroupInfo(id)}
}

// running takes note of a container's process.
func (s *Server) running(id ids.ContainerID, process launcher.Process) {
	s.processes.Store(id, process)
	s.classified(id, netClass(process))
}

// classified tells the core the class of a container's packets, for statuses, unless it
// has none.
func (s *Server) classified(id ids.ContainerID, class uint32) {
	if class != 0 {
		s.tell(agent.ContainerClass{Container: id, Class: class})
	}
}

// netClass returns the class of the packets of a process, 0 if it has none.
func netClass(process any) uint32 {
	p, ok := process.(interface{ NetClass() uint32 })
	if !ok {
		return 0
	}
	return p.NetClass()
}

// cgroupInfo returns the class of a container's packets, nil if it has none.
func (s *Server) cgroupInfo(id ids.ContainerID) *mesos.CgroupInfo {
	process, _ := s.processes.Load(id)
	class := netClass(process)
	if class == 0 {
		return nil
	}
	return &mesos.CgroupInfo{NetCls: &mesos.CgroupInfo_NetCls{Classid: &class}}
}

// address returns the IP address that a container is reached at.
func (s *Server) address(id ids.ContainerID) string {
	for _, network := range s.containerizer.Networks(id) {
		for _, ip := range network.GetIpAddresses() {
			return ip.GetIpAddress()
		}
	}
	return s.pid.AddrPort().Addr().String()
}

// containerID returns the id of a container with those it is nested in.
func containerID(id ids.ContainerID) *mesos.ContainerID {
	value := id.Value()
	out := &mesos.ContainerID{Value: &value}
	if parent, ok := id.Parent(); ok {
		out.Parent = containerID(parent)
	}
	return out
}

// others returns the containers with a process that are no executor's: those
// within others, and those that stand alone.
func (s *Server) others(nested, standalone bool) []ids.ContainerID {
	var all []ids.ContainerID
	s.processes.Range(func(key, _ any) bool {
		id := key.(ids.ContainerID)
		alone := s.nest.standalone(id)
		if (standalone || !alone) && (id.Nested() && nested || !id.Nested() && alone) {
			all = append(all, id)
		}
		return true
	})
	slices.Sort(all)
	return all
}

// allowed returns what a run may use: its limit is the sum of those of its tasks, where
// one without counts with what it was given, if any task has one.
func (v *view) allowed(x *agent.ExecutorRow) launcher.Resources {
	may := allowance(v.used(x), nil)
	for _, name := range [...]string{"cpus", "mem"} {
		sum, limited := resources.Trusted(x.Info.GetResources()).Scalar(name).Float64(), false
		for _, t := range v.byRun[x.Run.Container] {
			if t.Phase != agent.TaskQueued && t.Phase != agent.TaskLaunched {
				continue
			}
			if l := t.Task.GetLimits()[name]; l != nil {
				sum, limited = sum+l.GetValue(), true
			} else {
				sum += resources.Trusted(t.Task.GetResources()).Scalar(name).Float64()
			}
		}
		if limited {
			*map[string]*float64{"cpus": &may.CPULimit, "mem": &may.MemLimit}[name] = sum
		}
	}
	return may
}

// nestedLimits returns what the task in a nested container may use.
func (v *view) nestedLimits(id ids.ContainerID) launcher.Resources {
	for _, t := range v.byRun[id.Root()] {
		for _, status := range t.Task.GetStatuses() {
			if status.GetContainerStatus().GetContainerId().GetValue() == id.Value() {
				return allowance(resources.Trusted(t.Task.GetResources()), t.Task.GetLimits())
			}
		}
	}
	return launcher.Resources{}
}

// statistics returns what a container, with those within it, uses, and may use.
func (v *view) statistics(id ids.ContainerID, may launcher.Resources) *mesos.ResourceStatistics {
	now, used := wire.Seconds(v.server.clock()), v.server.usage(id)
	out := &mesos.ResourceStatistics{Timestamp: &now}
	switch {
	case used.Cgroup != nil:
		proto.Merge(out, used.Cgroup)
	case used.Processes > 0:
		user, system := used.User.Seconds(), used.System.Seconds()
		out.CpusUserTimeSecs, out.CpusSystemTimeSecs, out.MemRssBytes = &user, &system, &used.RSS
	}
	if v.server.cfg.NetworkMetrics {
		if traffic := v.server.containerizer.NetworkStatistics(id); traffic != nil {
			proto.Merge(out, traffic)
		}
	}
	v.server.diskStatistics(id, out)
	tellLimits(out, may, v.server.cfg.CFS, httpd.ReadSystem)
	return out
}

// tellLimits adds what a container was given, and what it may use: of an endless
// limit, all that the machine has.
func tellLimits(out *mesos.ResourceStatistics, may launcher.Resources, cfs bool, machine func() httpd.System) {
	if may.CPUs > 0 {
		out.CpusSoftLimit = &may.CPUs
	}
	switch {
	case math.IsInf(may.CPULimit, 1):
		out.CpusLimit = new(float64(machine().CPUs))
	case may.CPULimit > 0:
		out.CpusLimit = &may.CPULimit
	case cfs && may.CPUs > 0:
		out.CpusLimit = &may.CPUs
	}
	if may.Mem > 0 {
		out.MemSoftLimitBytes = new(megabytes(may.Mem))
		out.MemLimitBytes = out.MemSoftLimitBytes
	}
	switch {
	case math.IsInf(may.MemLimit, 1):
		out.MemLimitBytes = new(machine().MemTotal)
	case may.MemLimit > 0:
		out.MemLimitBytes = new(uint64(may.MemLimit) << 20)
	}
}

// stalls returns how long a container's processes had to wait, nil if the kernel
// does not tell.
func (s *Server) stalls(id ids.ContainerID) map[string]launcher.Stalls {
	process, ok := s.processes.Load(id)
	if !ok {
		return nil
	}
	return process.(launcher.Process).Usage().Stalls
}

// writeStalls adds what Mesos has no message for.
func writeStalls(w *wire.Writer, all map[string]launcher.Stalls) {
	if all == nil {
		return
	}
	stall := func(key string, s launcher.Stall) {
		w.Key(key).BeginObject()
		w.Key("avg10").Double(s.Avg10)
		w.Key("avg300").Double(s.Avg300)
		w.Key("avg60").Double(s.Avg60)
		w.Key("total_secs").Double(s.Total.Seconds())
		w.EndObject()
	}
	w.Key("pressure").BeginObject()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		w.Key(name).BeginObject()
		stall("full", all[name].Full)
		stall("some", all[name].Some)
		w.EndObject()
	}
	w.EndObject()
}

// addStatistics adds up what the control groups of a pod's tasks tell.
func addStatistics(a, b *mesos.ResourceStatistics) *mesos.ResourceStatistics {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	sum := a.CloneVT().ProtoReflect()
	b.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch f.Kind() {
		case protoreflect.DoubleKind:
			sum.Set(f, protoreflect.ValueOfFloat64(sum.Get(f).Float()+v.Float()))
		case protoreflect.Uint64Kind:
			sum.Set(f, protoreflect.ValueOfUint64(sum.Get(f).Uint()+v.Uint()))
		case protoreflect.Uint32Kind:
			sum.Set(f, protoreflect.ValueOfUint32(uint32(sum.Get(f).Uint()+v.Uint())))
		default: // blkio, below
		}
		return true
	})
	out := sum.Interface().(*mesos.ResourceStatistics)
	for _, device := range b.GetBlkioStatistics().GetThrottling() {
		addThrottling(out, device)
	}
	return out
}

// addThrottling adds what was read from a device and written to it.
func addThrottling(to *mesos.ResourceStatistics, device *mesos.CgroupInfo_Blkio_Throttling_Statistics) {
	if to.BlkioStatistics == nil {
		to.BlkioStatistics = &mesos.CgroupInfo_Blkio_Statistics{}
	}
	for _, known := range to.BlkioStatistics.Throttling {
		if proto.Equal(known.GetDevice(), device.GetDevice()) {
			known.IoServiced = addOperations(known.IoServiced, device.IoServiced)
			known.IoServiceBytes = addOperations(known.IoServiceBytes, device.IoServiceBytes)
			return
		}
	}
	to.BlkioStatistics.Throttling = append(to.BlkioStatistics.Throttling, device.CloneVT())
}

func addOperations(sum, more []*mesos.CgroupInfo_Blkio_Value) []*mesos.CgroupInfo_Blkio_Value {
	for _, v := range more {
		i := slices.IndexFunc(sum, func(s *mesos.CgroupInfo_Blkio_Value) bool { return s.GetOp() == v.GetOp() })
		if i < 0 {
			sum = append(sum, v.CloneVT())
			continue
		}
		sum[i].Value = new(sum[i].GetValue() + v.GetValue())
	}
	return sum
}

func megabytes(a float64) uint64 { return uint64(a * (1 << 20)) }

// usage sums what the processes of a container, and of those within it, use.
func (s *Server) usage(id ids.ContainerID) launcher.Usage {
	var sum launcher.Usage
	var own *mesos.ResourceStatistics
	s.processes.Range(func(key, process any) bool {
		if c := key.(ids.ContainerID); c == id || !id.Nested() && c.Root() == id {
			u := process.(launcher.Process).Usage()
			sum.Processes, sum.Threads = sum.Processes+u.Processes, sum.Threads+u.Threads
			sum.User, sum.System, sum.RSS = sum.User+u.User, sum.System+u.System, sum.RSS+u.RSS
			if c == id {
				own = u.Cgroup
			}
			sum.Cgroup = addStatistics(sum.Cgroup, u.Cgroup)
		}
		return true
	})
	if own != nil {
		sum.Cgroup = own // which counts those within it
	}
	return sum
}

// serveContainerizer is /containerizer/debug. What waits here waits in the
// goroutine of its container, and nothing keeps a list of that.
func (s *Server) serveContainerizer(w http.ResponseWriter, r *http.Request) error {
	httpd.Render(w, r, func(out *wire.Writer) error {
		out.BeginObject()
		out.Key("pending").Strings(nil)
		out.EndObject()
		return nil
	})
	return nil
}

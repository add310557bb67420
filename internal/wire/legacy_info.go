package wire

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/resources"
)

// Labels writes an array of labels; a nil Labels has none.
func (w *Writer) Labels(l *mesos.Labels) { writeMessages(w, l.GetLabels()) }

// writeMessages writes an array of messages.
func writeMessages[M proto.Message](w *Writer, all []M) {
	w.BeginArray()
	for _, m := range all {
		w.Message(m)
	}
	w.EndArray()
}

// CommandInfo writes a command: its arguments are "argv", and of its URIs only
// value and executable are shown. A nil one is shown as an empty one.
func (w *Writer) CommandInfo(c *mesos.CommandInfo) {
	if c == nil {
		c = &mesos.CommandInfo{}
	}
	w.BeginObject()
	if c.Shell != nil {
		w.Key("shell").Bool(c.GetShell())
	}
	if c.Value != nil {
		w.Key("value").String(c.GetValue())
	}
	w.Key("argv").Strings(c.GetArguments())
	if env := c.GetEnvironment(); env != nil {
		w.Key("environment").Message(env)
	}
	w.Key("uris").BeginArray()
	for _, uri := range c.GetUris() {
		w.BeginObject()
		w.Key("value").String(uri.GetValue())
		w.Key("executable").Bool(uri.GetExecutable())
		w.EndObject()
	}
	w.EndArray()
	w.EndObject()
}

// ExecutorInfoFields writes the members of an executor in the master's /state,
// which adds slave_id.
func (w *Writer) ExecutorInfoFields(e *mesos.ExecutorInfo) {
	w.Key("executor_id").String(e.GetExecutorId().GetValue())
	w.Key("name").String(e.GetName())
	w.Key("framework_id").String(e.GetFrameworkId().GetValue())
	w.Key("command").CommandInfo(e.GetCommand())
	w.Key("resources").Resources(e.GetResources())
	w.executorExtras(e)
}

// An ExecutorSummary is what the agent's /state tells of one beside its tasks.
type ExecutorSummary struct {
	Info        *mesos.ExecutorInfo
	ContainerID string
	Directory   string              // its sandbox
	Resources   resources.Resources // its own and those of its tasks
}

// ExecutorFields writes the members of an executor in the agent's /state,
// which adds tasks, queued_tasks and completed_tasks.
func (w *Writer) ExecutorFields(e ExecutorSummary) {
	w.Key("id").String(e.Info.GetExecutorId().GetValue())
	w.Key("name").String(e.Info.GetName())
	w.Key("source").String(e.Info.GetSource())
	w.Key("container").String(e.ContainerID)
	w.Key("directory").String(e.Directory)
	w.Key("resources").ResourceSum(e.Resources)
	w.executorExtras(e.Info)
}

// executorExtras writes the members of an executor that it need not have.
func (w *Writer) executorExtras(e *mesos.ExecutorInfo) {
	if len(e.GetResources()) > 0 {
		w.Key("role").String(allocationRole(e.GetResources()))
	}
	if e.Labels != nil {
		w.Key("labels").Labels(e.Labels)
	}
	if e.Type != nil {
		w.Key("type").String(e.GetType().String())
	}
}

// A FrameworkSummary is what the master tells of one in every summary.
type FrameworkSummary struct {
	Info          *mesos.FrameworkInfo
	PID           string // of a driver; "" for one that came by HTTP
	Used, Offered resources.Resources
	Active        bool
	Connected     bool
	Recovered     bool // known from agents only, not yet subscribed again
}

// FrameworkFields writes the members of a framework in /state-summary, with
// which its object in /state and /frameworks begins.
func (w *Writer) FrameworkFields(f FrameworkSummary) {
	w.Key("id").String(f.Info.GetId().GetValue())
	w.Key("name").String(f.Info.GetName())
	if f.PID != "" {
		w.Key("pid").String(f.PID)
	}
	w.Key("used_resources").ResourceSum(f.Used)
	w.Key("offered_resources").ResourceSum(f.Offered)
	w.Key("capabilities").FrameworkCapabilities(f.Info.GetCapabilities())
	w.Key("hostname").String(f.Info.GetHostname())
	w.Key("webui_url").String(f.Info.GetWebuiUrl())
	w.Key("active").Bool(f.Active)
	w.Key("connected").Bool(f.Connected)
	w.Key("recovered").Bool(f.Recovered)
}

// FrameworkRoles writes the member roles of a framework with MULTI_ROLE, or the
// member role of one without.
func (w *Writer) FrameworkRoles(info *mesos.FrameworkInfo) {
	multiRole := func(c *mesos.FrameworkInfo_Capability) bool {
		return c.GetType() == mesos.FrameworkInfo_Capability_MULTI_ROLE
	}
	if slices.ContainsFunc(info.GetCapabilities(), multiRole) {
		w.Key("roles").Strings(info.GetRoles())
	} else {
		w.Key("role").String(info.GetRole())
	}
}

// AgentInfoFields writes the members that an agent's object in /slaves, /state
// and /state-summary begins with; for an agent that a new master knows from the
// registry only they are all.
func (w *Writer) AgentInfoFields(a *mesos.AgentInfo) {
	w.Key("id").String(a.GetId().GetValue())
	w.Key("hostname").String(a.GetHostname())
	w.Key("port").Int(int64(a.GetPort()))
	w.Key("attributes").Attributes(a.GetAttributes())
	if a.Domain != nil {
		w.Key("domain").DomainInfo(a.Domain)
	}
}

// MasterInfo writes leader_info of /state.
func (w *Writer) MasterInfo(m *mesos.MasterInfo) {
	w.BeginObject()
	w.Key("id").String(m.GetId())
	w.Key("pid").String(m.GetPid())
	w.Key("port").Int(int64(m.GetPort()))
	w.Key("hostname").String(m.GetHostname())
	if m.Domain != nil {
		w.Key("domain").DomainInfo(m.Domain)
	}
	w.EndObject()
}

// DomainInfo writes where a machine stands.
func (w *Writer) DomainInfo(d *mesos.DomainInfo) {
	w.BeginObject()
	if fault := d.GetFaultDomain(); fault != nil {
		w.Key("fault_domain").BeginObject()
		w.Key("region").name(fault.GetRegion().GetName())
		w.Key("zone").name(fault.GetZone().GetName())
		w.EndObject()
	}
	w.EndObject()
}

// name writes an object with a name.
func (w *Writer) name(name string) {
	w.BeginObject()
	w.Key("name").String(name)
	w.EndObject()
}

// Offer writes an outstanding offer, as in a framework's object.
func (w *Writer) Offer(o *mesos.Offer) {
	w.BeginObject()
	w.Key("id").String(o.GetId().GetValue())
	w.Key("framework_id").String(o.GetFrameworkId().GetValue())
	w.Key("allocation_info").Message(o.GetAllocationInfo())
	w.Key("slave_id").String(o.GetAgentId().GetValue())
	w.Key("resources").Resources(o.GetResources())
	w.EndObject()
}

// FrameworkCapabilities writes an array of the names of capabilities.
func (w *Writer) FrameworkCapabilities(all []*mesos.FrameworkInfo_Capability) {
	w.BeginArray()
	for _, c := range all {
		w.String(c.GetType().String())
	}
	w.EndArray()
}

// AgentCapabilities writes an array of the names of capabilities.
func (w *Writer) AgentCapabilities(all []*mesos.AgentInfo_Capability) {
	w.BeginArray()
	for _, c := range all {
		w.String(c.GetType().String())
	}
	w.EndArray()
}

// MasterCapabilities writes an array of the names of capabilities.
func (w *Writer) MasterCapabilities(all []*mesos.MasterInfo_Capability) {
	w.BeginArray()
	for _, c := range all {
		w.String(c.GetType().String())
	}
	w.EndArray()
}

// StringMap writes an object of strings, such as flags, by rising name.
func (w *Writer) StringMap(m map[string]string) {
	w.BeginObject()
	for _, name := range slices.Sorted(maps.Keys(m)) {
		w.Key(name).String(m[name])
	}
	w.EndObject()
}

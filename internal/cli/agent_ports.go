package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agentd"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/resources"
)

// portFlags are those of the isolator network/ports.
type portFlags struct {
	Every              time.Duration
	Enforce, AgentOnly bool
	Within             string
}

func (f *portFlags) define(set *flags.Set) {
	set.Duration(&f.Every, "container_ports_watch_interval", 30*time.Second, "How often it is looked at where containers listen, with the isolator network/ports.")
	set.Bool(&f.Enforce, "enforce_container_ports", false, "End containers that listen at ports that they were not given. Without, the log tells of them.")
	set.Bool(&f.AgentOnly, "check_agent_port_range_only", false, "Let containers listen at ports that are none of the agent's resources.")
	set.String(&f.Within, "container_ports_isolated_range", "", "Ports that containers listen at only if they were given them, such as [0-35000]; by default all.").Optional()
}

// portWatch returns how containers are held to their ports; offered is what the
// agent has.
func (f *agentFlags) portWatch(offered []*mesos.Resource) (w agentd.PortWatch, err error) {
	p := &f.Isolation.Ports
	if !strings.Contains(f.Isolation.Isolation, "network/ports") {
		return w, nil
	}
	w.Every, w.Enforce = p.Every, p.Enforce
	switch {
	case p.Every <= 0:
		return w, errors.New("--container_ports_watch_interval: want more than nothing")
	case p.AgentOnly && p.Within != "":
		return w, errors.New("only one of --check_agent_port_range_only and --container_ports_isolated_range can be given")
	case p.AgentOnly:
		w.Within = append(resources.Ranges{}, resources.Trusted(offered).Ports()...)
	case p.Within != "":
		given, err := resources.Parse("ports:"+p.Within, "*")
		if err != nil {
			return w, fmt.Errorf("--container_ports_isolated_range: %w", err)
		}
		if given.Ports() == nil {
			return w, fmt.Errorf("--container_ports_isolated_range: want ranges such as [0-35000], not %s", p.Within)
		}
		w.Within = given.Ports()
	}
	return w, nil
}

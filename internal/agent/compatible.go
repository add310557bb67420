package agent

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/resources"
)

// resourcesOf returns what a state remembers of reservations; never nil.
func resourcesOf(s *meta.State) *messages.ResourceState {
	if s.Resources == nil {
		return &messages.ResourceState{}
	}
	return s.Resources
}

// compatible says why an agent that was old cannot go on as it is configured
// now; nil if it can.
func (a *Agent) compatible(old *mesos.AgentInfo) error {
	now := withID(a.cfg.Info, old.GetId())
	if proto.Equal(old, now) {
		return nil
	}
	if !a.cfg.Additive {
		return errDiffers
	}
	const policy = "configuration change not permitted under the additive policy"
	switch {
	case old.GetHostname() != now.GetHostname():
		return fmt.Errorf("%s: host name changed from %s to %s", policy, old.GetHostname(), now.GetHostname())
	case old.GetPort() != now.GetPort():
		return fmt.Errorf("%s: port changed from %d to %d", policy, old.GetPort(), now.GetPort())
	case old.GetDomain() != nil && !proto.Equal(old.GetDomain(), now.GetDomain()):
		return fmt.Errorf("%s: domain changed", policy)
	}
	if had, has := resources.Trusted(old.GetResources()), resources.Trusted(now.GetResources()); !has.Contains(had) {
		return fmt.Errorf("%s: resources were %s and are %s", policy, had, has)
	}
	for _, attr := range old.GetAttributes() {
		if !slices.ContainsFunc(now.GetAttributes(), func(n *mesos.Attribute) bool { return includes(n, attr) }) {
			return fmt.Errorf("%s: attribute %s is missing or has changed", policy, attr.GetName())
		}
	}
	return nil
}

// includes reports whether an attribute says what another says, or, of ranges,
// more.
func includes(now, old *mesos.Attribute) bool {
	if now.GetName() != old.GetName() || now.GetType() != old.GetType() {
		return false
	}
	if old.GetType() != mesos.Value_RANGES {
		return proto.Equal(now, old)
	}
	return asResource(now).Contains(asResource(old))
}

// asResource lends ranges the arithmetic of resources.
func asResource(a *mesos.Attribute) resources.Resources {
	return resources.Trusted([]*mesos.Resource{{Name: a.Name, Type: a.Type, Ranges: a.Ranges}})
}

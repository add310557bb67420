package oci

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// firstCapability is the number of CAP_CHOWN, 0 in the kernel, in Mesos's messages.
const firstCapability = mesos.CapabilityInfo_CHOWN

// modest are the capabilities that containers get which nobody has asked or set
// any for: enough for package managers and servers, not for the machine.
var modest = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
	"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_SETFCAP",
}

// rights are the sets of capabilities of a process.
type rights struct{ bounding, effective, ambient []string }

// everything is all that the agent itself can give, as without the isolator.
func everything(o *Options) rights {
	var all []string
	for bit := range 64 {
		name, ok := mesos.CapabilityInfo_Capability_name[int32(firstCapability)+int32(bit)]
		if ok && o.Machine.Capabilities&(1<<bit) != 0 {
			all = append(all, "CAP_"+name)
		}
	}
	return rights{bounding: all, effective: all}
}

// apply gives a process rights. The kernel takes them away from users that are not
// root, but for the ambient ones.
func (r rights) apply(p *specs.Process) {
	p.Capabilities.Bounding = r.bounding
	p.Capabilities.Effective, p.Capabilities.Permitted = r.effective, r.effective
	p.Capabilities.Inheritable, p.Capabilities.Ambient = r.ambient, r.ambient
	if p.User.UID != 0 {
		p.Capabilities.Effective, p.Capabilities.Permitted = r.ambient, r.ambient
	}
}

// capabilities gives the rights that a container asks for, as far as the operator
// allows them, or those that the operator set.
func capabilities(c *container, s *specs.Spec) error {
	linux := c.Container.GetLinuxInfo()
	asked := linux.GetEffectiveCapabilities()
	if asked == nil {
		asked = linux.GetCapabilityInfo()
	}
	bounding := names(linux.GetBoundingCapabilities(), or(c.options.Bounding, or(c.options.Effective, modest)))
	effective := names(asked, or(c.options.Effective, bounding))
	for _, set := range [][]string{bounding, effective} {
		if extra := beyond(set, c.options.Bounding); c.options.Bounding != nil && extra != "" {
			return fmt.Errorf("capability %s is beyond what --bounding_capabilities allows", extra)
		}
	}
	if asked != nil && linux.GetBoundingCapabilities() == nil {
		bounding = effective
	}
	if extra := beyond(effective, bounding); extra != "" {
		return fmt.Errorf("effective capability %s is not among the bounding ones", extra)
	}
	have := everything(c.options).bounding
	r := rights{bounding: within(bounding, have), effective: within(effective, have)}
	if asked != nil || c.options.Effective != nil {
		r.ambient = r.effective
	}
	r.apply(s.Process)
	return nil
}

func names(info *mesos.CapabilityInfo, otherwise []string) []string {
	if info == nil {
		return otherwise
	}
	out := make([]string, 0, len(info.Capabilities))
	for _, c := range info.Capabilities {
		out = append(out, "CAP_"+c.String())
	}
	return out
}

// CapabilityNames returns the names that a --…_capabilities flag means, as the
// kernel spells them.
func CapabilityNames(info *mesos.CapabilityInfo) []string { return names(info, nil) }

func or(a, b []string) []string {
	if a != nil {
		return a
	}
	return b
}

func beyond(set, allowed []string) string {
	for _, c := range set {
		if !slices.Contains(allowed, c) {
			return c
		}
	}
	return ""
}

func within(set, have []string) []string {
	return slices.DeleteFunc(slices.Clone(set), func(c string) bool { return !slices.Contains(have, c) })
}

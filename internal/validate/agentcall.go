package validate

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

// AgentCall refuses a call to an agent that lacks its type or what belongs to
// its type, or names or describes a container that cannot be.
func AgentCall(c *agentpb.Call) error {
	if c.Type == nil {
		return expecting("type")
	}
	switch c.GetType() {
	case agentpb.Call_GET_METRICS:
		return present(c.GetMetrics != nil, "get_metrics")
	case agentpb.Call_SET_LOGGING_LEVEL:
		return present(c.SetLoggingLevel != nil, "set_logging_level")
	case agentpb.Call_LIST_FILES:
		return present(c.ListFiles != nil, "list_files")
	case agentpb.Call_READ_FILE:
		return present(c.ReadFile != nil, "read_file")
	case agentpb.Call_ADD_RESOURCE_PROVIDER_CONFIG:
		return providerConfig(c.AddResourceProviderConfig != nil,
			c.GetAddResourceProviderConfig().GetInfo(), "add_resource_provider_config")
	case agentpb.Call_UPDATE_RESOURCE_PROVIDER_CONFIG:
		return providerConfig(c.UpdateResourceProviderConfig != nil,
			c.GetUpdateResourceProviderConfig().GetInfo(), "update_resource_provider_config")
	case agentpb.Call_REMOVE_RESOURCE_PROVIDER_CONFIG:
		return present(c.RemoveResourceProviderConfig != nil, "remove_resource_provider_config")
	case agentpb.Call_MARK_RESOURCE_PROVIDER_GONE:
		return present(c.MarkResourceProviderGone != nil, "mark_resource_provider_gone")
	default:
		return containerCall(c)
	}
}

func providerConfig(there bool, info *mesos.ResourceProviderInfo, field string) error {
	if !there {
		return expecting(field)
	}
	if info.GetId() != nil {
		return refusal.Invalidf("Expecting '%s.info.id' to be unset", field)
	}
	return nil
}

// containerCall validates the calls about containers.
func containerCall(c *agentpb.Call) error {
	switch c.GetType() {
	case agentpb.Call_WAIT_NESTED_CONTAINER:
		return nested(c.WaitNestedContainer != nil, c.GetWaitNestedContainer().GetContainerId(), "wait_nested_container")
	case agentpb.Call_KILL_NESTED_CONTAINER:
		return nested(c.KillNestedContainer != nil, c.GetKillNestedContainer().GetContainerId(), "kill_nested_container")
	case agentpb.Call_REMOVE_NESTED_CONTAINER:
		return nested(c.RemoveNestedContainer != nil,
			c.GetRemoveNestedContainer().GetContainerId(), "remove_nested_container")
	case agentpb.Call_WAIT_CONTAINER:
		return named(c.WaitContainer != nil, c.GetWaitContainer().GetContainerId(), "wait_container")
	case agentpb.Call_KILL_CONTAINER:
		return named(c.KillContainer != nil, c.GetKillContainer().GetContainerId(), "kill_container")
	case agentpb.Call_REMOVE_CONTAINER:
		return named(c.RemoveContainer != nil, c.GetRemoveContainer().GetContainerId(), "remove_container")
	case agentpb.Call_ATTACH_CONTAINER_OUTPUT:
		return named(c.AttachContainerOutput != nil,
			c.GetAttachContainerOutput().GetContainerId(), "attach_container_output")
	case agentpb.Call_ATTACH_CONTAINER_INPUT:
		return attachInput(c.AttachContainerInput)
	case agentpb.Call_LAUNCH_NESTED_CONTAINER:
		return launchNested(c.LaunchNestedContainer)
	case agentpb.Call_LAUNCH_NESTED_CONTAINER_SESSION:
		return launchSession(c.LaunchNestedContainerSession)
	case agentpb.Call_LAUNCH_CONTAINER:
		return launchContainer(c.LaunchContainer)
	default:
		return nil
	}
}

// named refuses a call that is not there or has an invalid container ID.
func named(there bool, id *mesos.ContainerID, field string) error {
	if !there {
		return expecting(field)
	}
	return within("'"+field+".container_id' is invalid", ContainerID(id))
}

// nested is named, and refuses containers that are not inside another.
func nested(there bool, id *mesos.ContainerID, field string) error {
	if err := named(there, id, field); err != nil {
		return err
	}
	return present(id.GetParent() != nil, field+".container_id.parent")
}

func attachInput(c *agentpb.Call_AttachContainerInput) error {
	switch {
	case c == nil:
		return expecting("attach_container_input")
	case c.Type == nil:
		return expecting("attach_container_input.type")
	}
	switch c.GetType() {
	case agentpb.Call_AttachContainerInput_CONTAINER_ID:
		return named(true, c.GetContainerId(), "attach_container_input")
	case agentpb.Call_AttachContainerInput_PROCESS_IO:
		return nil
	default:
		return refusal.Invalidf("'attach_container_input.type' is unknown")
	}
}

// described refuses an invalid command or container of the call.
func described(command *mesos.CommandInfo, container *mesos.ContainerInfo, field string) error {
	if err := within("'"+field+".command' is invalid", CommandInfo(command)); err != nil {
		return err
	}
	return within("'"+field+".container' is invalid", ContainerInfo(container))
}

func isTwiceNested(id *mesos.ContainerID) bool { return id.GetParent().GetParent() != nil }

func launchNested(c *agentpb.Call_LaunchNestedContainer) error {
	const field = "launch_nested_container"
	id := c.GetContainerId()
	if err := nested(c != nil, id, field); err != nil {
		return err
	}
	if err := described(c.Command, c.Container, field); err != nil {
		return err
	}
	if shares, _ := sharesCgroups(c.Container); !shares && isTwiceNested(id) {
		return errDeepCgroups(field)
	}
	return nil
}

func errDeepCgroups(field string) error {
	return refusal.Invalidf("'%s' is invalid: containers nested at the second level or greater"+
		" cannot set 'share_cgroups' to 'false'", field)
}

func launchSession(c *agentpb.Call_LaunchNestedContainerSession) error {
	const field = "launch_nested_container_session"
	if err := nested(c != nil, c.GetContainerId(), field); err != nil {
		return err
	}
	if err := described(c.Command, c.Container, field); err != nil {
		return err
	}
	if shares, _ := sharesCgroups(c.Container); !shares {
		return refusal.Invalidf("'%s.container.linux_info' is invalid: 'share_cgroups' cannot be"+
			" set to 'false' for nested container sessions", field)
	}
	return nil
}

func launchContainer(c *agentpb.Call_LaunchContainer) error {
	const field = "launch_container"
	id := c.GetContainerId()
	return first(
		func() error { return named(c != nil, id, field) },
		func() error { return within("Invalid resources", resources.ValidateAll(c.GetResources())) },
		func() error { return within("Invalid GPU resources", gpus(resources.Trusted(c.GetResources()))) },
		func() error { return standaloneResources(c) },
		func() error { return described(c.Command, c.Container, field) },
		func() error { return launchLevel(c) },
	)
}

// standaloneResources refuses resources that the master would have to know of,
// for a container that is in no other.
func standaloneResources(c *agentpb.Call_LaunchContainer) error {
	if c.GetContainerId().GetParent() != nil {
		return nil
	}
	for _, r := range c.GetResources() {
		switch r := resources.TrustedOne(r); {
		case r.IsReserved():
			return refusal.Invalidf("'launch_container.resources' must be unreserved")
		case r.IsPersistentVolume():
			return refusal.Invalidf("'launch_container.resources' may not use persistent volumes")
		case r.IsRevocable():
			return refusal.Invalidf("'launch_container.resources' must be non-revocable")
		}
	}
	return nil
}

// launchLevel refuses what cannot be had at the container's level of nesting.
func launchLevel(c *agentpb.Call_LaunchContainer) error {
	const deep = "'launch_container' is invalid: containers nested at the second level or greater cannot"
	shares, told := sharesCgroups(c.Container)
	switch deeply := isTwiceNested(c.GetContainerId()); {
	case deeply && len(c.GetResources()) > 0:
		return refusal.Invalidf(deep + " specify resources")
	case deeply && len(c.GetLimits()) > 0:
		return refusal.Invalidf(deep + " specify resource limits")
	case deeply && told && !shares:
		return errDeepCgroups("launch_container")
	case c.GetContainerId().GetParent() == nil && told && shares:
		return refusal.Invalidf("'launch_container' is invalid: containers without a parent" +
			" cannot set 'share_cgroups' to 'true'")
	}
	return nil
}

// ProcessInput refuses a call that ATTACH_CONTAINER_INPUT cannot go on with.
func ProcessInput(c *agentpb.Call) error {
	if c.GetType() != agentpb.Call_ATTACH_CONTAINER_INPUT {
		return refusal.Invalidf("Expecting 'type' to be 'ATTACH_CONTAINER_INPUT' instead of: '%s'", c.GetType())
	}
	input := c.GetAttachContainerInput()
	if kind := input.GetType(); kind != agentpb.Call_AttachContainerInput_PROCESS_IO {
		return refusal.Invalidf("Expecting 'attach_container_input.type' to be 'PROCESS_IO' instead of: '%s'", kind)
	}
	p := input.GetProcessIo()
	switch {
	case p == nil:
		return expecting("attach_container_input.process_io")
	case p.Type == nil:
		return expecting("process_io.type")
	case p.GetType() == agentpb.ProcessIO_DATA:
		return inputData(p.Data)
	case p.GetType() == agentpb.ProcessIO_CONTROL:
		return inputControl(p.Control)
	}
	return refusal.Invalidf("'process_io.type' is unknown")
}

func inputData(d *agentpb.ProcessIO_Data) error {
	switch {
	case d == nil:
		return expecting("process_io.data")
	case d.Type == nil:
		return expecting("process_io.data.type")
	case d.GetType() != agentpb.ProcessIO_Data_STDIN:
		return refusal.Invalidf("Expecting 'process_io.data.type' to be 'STDIN'")
	}
	return present(d.Data != nil, "process_io.data.data")
}

func inputControl(c *agentpb.ProcessIO_Control) error {
	switch {
	case c == nil:
		return expecting("process_io.control")
	case c.Type == nil:
		return expecting("process_io.control.type")
	case c.GetType() == agentpb.ProcessIO_Control_HEARTBEAT:
		return present(c.Heartbeat != nil, "process_io.control.heartbeat")
	case c.GetType() != agentpb.ProcessIO_Control_TTY_INFO:
		return refusal.Invalidf("'process_io.control.type' is unknown")
	case c.TtyInfo == nil:
		return expecting("process_io.control.tty_info")
	}
	return present(c.TtyInfo.WindowSize != nil, "tty_info.window_size")
}

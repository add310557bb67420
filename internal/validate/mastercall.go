package validate

import (
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

// MasterCall refuses an operator's call to a master that lacks its type or what
// belongs to its type, or asks to reserve or unreserve what are no resources.
func MasterCall(c *masterpb.Call) error {
	if c.Type == nil {
		return expecting("type")
	}
	switch c.GetType() {
	case masterpb.Call_GET_METRICS:
		return present(c.GetMetrics != nil, "get_metrics")
	case masterpb.Call_SET_LOGGING_LEVEL:
		return present(c.SetLoggingLevel != nil, "set_logging_level")
	case masterpb.Call_LIST_FILES:
		return present(c.ListFiles != nil, "list_files")
	case masterpb.Call_READ_FILE:
		return present(c.ReadFile != nil, "read_file")
	case masterpb.Call_UPDATE_WEIGHTS:
		return present(c.UpdateWeights != nil, "update_weights")
	case masterpb.Call_UPDATE_QUOTA:
		return present(c.UpdateQuota != nil, "update_quota")
	case masterpb.Call_SET_QUOTA:
		return present(c.SetQuota != nil, "set_quota")
	case masterpb.Call_REMOVE_QUOTA:
		return present(c.RemoveQuota != nil, "remove_quota")
	case masterpb.Call_TEARDOWN:
		return present(c.Teardown != nil, "teardown")
	default:
		return agentsCall(c)
	}
}

// agentsCall validates the calls about agents and what they have.
func agentsCall(c *masterpb.Call) error {
	switch c.GetType() {
	case masterpb.Call_UPDATE_MAINTENANCE_SCHEDULE:
		return present(c.UpdateMaintenanceSchedule != nil, "update_maintenance_schedule")
	case masterpb.Call_START_MAINTENANCE:
		return present(c.StartMaintenance != nil, "start_maintenance")
	case masterpb.Call_STOP_MAINTENANCE:
		return present(c.StopMaintenance != nil, "stop_maintenance")
	case masterpb.Call_DRAIN_AGENT:
		return present(c.DrainAgent != nil, "drain_agent")
	case masterpb.Call_DEACTIVATE_AGENT:
		return present(c.DeactivateAgent != nil, "deactivate_agent")
	case masterpb.Call_REACTIVATE_AGENT:
		return present(c.ReactivateAgent != nil, "reactivate_agent")
	case masterpb.Call_MARK_AGENT_GONE:
		return present(c.MarkAgentGone != nil, "mark_agent_gone")
	default:
		return operationCall(c)
	}
}

// operationCall validates the calls that make an operation.
func operationCall(c *masterpb.Call) error {
	switch c.GetType() {
	case masterpb.Call_RESERVE_RESOURCES:
		if c.ReserveResources == nil {
			return expecting("reserve_resources")
		}
		return resources.ValidateAll(c.ReserveResources.GetResources())
	case masterpb.Call_UNRESERVE_RESOURCES:
		if c.UnreserveResources == nil {
			return expecting("unreserve_resources")
		}
		return resources.ValidateAll(c.UnreserveResources.GetResources())
	case masterpb.Call_CREATE_VOLUMES:
		return present(c.CreateVolumes != nil, "create_volumes")
	case masterpb.Call_DESTROY_VOLUMES:
		return present(c.DestroyVolumes != nil, "destroy_volumes")
	case masterpb.Call_GROW_VOLUME:
		if c.GrowVolume == nil {
			return expecting("grow_volume")
		}
		return ofAgent(c.GrowVolume.AgentId != nil)
	case masterpb.Call_SHRINK_VOLUME:
		if c.ShrinkVolume == nil {
			return expecting("shrink_volume")
		}
		return ofAgent(c.ShrinkVolume.AgentId != nil)
	default:
		return nil
	}
}

func ofAgent(told bool) error {
	if !told {
		return refusal.Invalidf("Expecting 'agent_id' to be present; only agent default resources" +
			" are supported right now")
	}
	return nil
}

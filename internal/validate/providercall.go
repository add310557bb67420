package validate

import (
	resourceproviderpb "github.com/meseta-project/meseta/api/mesos/v1/resource_provider"
	"github.com/meseta-project/meseta/internal/refusal"
)

// ProviderCall refuses a resource provider's call that lacks its type, who it
// comes from or what belongs to its type, or is about another's resources.
// known is the ID of the provider whose connection it comes from, "" before
// that has one.
func ProviderCall(c *resourceproviderpb.Call, known string) error {
	if c.Type == nil {
		return expecting("type")
	}
	switch c.GetType() {
	case resourceproviderpb.Call_SUBSCRIBE:
		return present(c.Subscribe != nil, "subscribe")
	case resourceproviderpb.Call_UNKNOWN:
		return nil
	default:
	}
	if c.ResourceProviderId == nil {
		return expecting("resource_provider_id")
	}
	switch c.GetType() {
	case resourceproviderpb.Call_UPDATE_OPERATION_STATUS:
		return providerStatus(c.UpdateOperationStatus, known)
	case resourceproviderpb.Call_UPDATE_STATE:
		return providerState(c.UpdateState, known)
	case resourceproviderpb.Call_UPDATE_PUBLISH_RESOURCES_STATUS:
		return present(c.UpdatePublishResourcesStatus != nil, "update_publish_resources_status")
	default:
		return nil
	}
}

func providerStatus(u *resourceproviderpb.Call_UpdateOperationStatus, known string) error {
	if u == nil {
		return expecting("update_operation_status")
	}
	if known != "" && u.GetStatus().GetResourceProviderId().GetValue() != known {
		return refusal.Invalidf("Inconsistent resource provider ID in 'update_operation_status'")
	}
	return nil
}

func providerState(u *resourceproviderpb.Call_UpdateState, known string) error {
	if u == nil {
		return expecting("update_state")
	}
	for _, r := range u.GetResources() {
		if known != "" && r.GetProviderId().GetValue() != known {
			return refusal.Invalidf("Inconsistent resource provider ID in 'update_state'")
		}
	}
	return nil
}

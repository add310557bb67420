package validate_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	resourceproviderpb "github.com/meseta-project/meseta/api/mesos/v1/resource_provider"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// rules are all that validate messages of a type, whatever is in them.
var rules = []func(data []byte) error{
	rule(func(m *schedulerpb.Call) error { return validate.SchedulerCall(m, "ops") }),
	rule(validate.ExecutorCall),
	rule(validate.MasterCall),
	rule(validate.AgentCall),
	rule(validate.RegisterAgent),
	rule(validate.ReregisterAgent),
	rule(validate.FrameworkInfo),
	rule(func(m *schedulerpb.OfferConstraints) error { return validate.OfferConstraints([]string{"eng"}, m) }),
	rule(validate.Quota),
	rule(validate.QuotaRequest),
	rule(validate.MaintenanceWindow),
	rule(func(m *mesos.MachineID) error { return validate.Machines{}.Add(m) }),
	rule(func(m *resourceproviderpb.Call) error { return validate.ProviderCall(m, "p") }),
	rule(validate.OperationForm),
	rule(func(m *mesos.Offer_Operation) error {
		return validate.Operation(m, validate.Requester{Principal: "ops"}, inUse())
	}),
	rule(func(m *mesos.Offer_Operation) error {
		return validate.Operation(m, validate.Requester{Framework: framework()}, withoutCapabilities())
	}),
	rule(func(m *mesos.TaskInfo) error { return validate.Task(m, framework(), agent(), offered()) }),
	rule(func(m *mesos.Offer_Operation_LaunchGroup) error {
		return taskGroup(m.GetTaskGroup(), m.GetExecutor(), framework(), agent(), offered())
	}),
}

// rule returns validate for an encoded message, of which required fields may
// be missing.
func rule[T any, M interface {
	*T
	proto.Message
}](validate func(M) error) func([]byte) error {
	return func(data []byte) error {
		m := M(new(T))
		err := proto.UnmarshalOptions{AllowPartial: true}.Unmarshal(data, m)
		if err == nil {
			return validate(m)
		}
		return nil
	}
}

// FuzzRules validates arbitrary messages: none may panic, and whatever is wrong
// is a refusal.
func FuzzRules(f *testing.F) {
	for i, seed := range []proto.Message{
		read(f, `{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}}`, &schedulerpb.Call{}),
		read(f, `{"type":"UPDATE","framework_id":{"value":"F"},"executor_id":{"value":"e"},"update":{"status":{
			"task_id":{"value":"t"},"state":"TASK_RUNNING","uuid":`+uuid+`}}}`, &executorpb.Call{}),
		read(f, `{"type":"RESERVE_RESOURCES","reserve_resources":{"agent_id":{"value":"a"}}}`, &masterpb.Call{}),
		read(f, `{"type":"LAUNCH_CONTAINER","launch_container":{"container_id":{"value":"c"}}}`, &agentpb.Call{}),
		&messages.RegisterSlaveMessage{Slave: &mesos.AgentInfo{Hostname: new("h"), Resources: offered().Proto()}},
		&messages.ReregisterSlaveMessage{Slave: &mesos.AgentInfo{Hostname: new("h")}},
		&mesos.FrameworkInfo{User: new("u"), Name: new("n"), Role: new("eng")},
		read(f, `{"role_constraints":{"eng":{"groups":[{"attribute_constraints":[{"selector":{"attribute_name":"a"},
			"predicate":{"text_matches":{"regex":"a|b"}}}]}]}}}`, &schedulerpb.OfferConstraints{}),
		read(f, `{"role":"a","limits":{"cpus":{"value":1}}}`, &quotapb.QuotaConfig{}),
		&quotapb.QuotaRequest{Role: new("a"), Guarantee: offered().Proto()},
		read(f, `{"windows":[{"machine_ids":[{"hostname":"h","ip":"10.0.0.1"}]}]}`, &maintenancepb.Schedule{}),
		read(f, `{"type":"UPDATE_STATE","resource_provider_id":{"value":"p"}}`, &resourceproviderpb.Call{}),
		read(f, `{"type":"RESERVE","reserve":{"resources":[`+cpu(byOps)+`]}}`, &mesos.Offer_Operation{}),
		read(f, `{"type":"CREATE","create":{"volumes":[`+diskOf(byOps+persistence)+`]}}`, &mesos.Offer_Operation{}),
		read(f, `{"type":"DESTROY","destroy":{"volumes":[`+diskOf(byOps+persistence)+`]}}`, &mesos.Offer_Operation{}),
		goodTask(),
		&mesos.Offer_Operation_LaunchGroup{TaskGroup: goodGroup(), Executor: groupExecutor()},
	} {
		data, err := (proto.MarshalOptions{AllowPartial: true}).Marshal(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), data)
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		err := rules[int(which)%len(rules)](data)
		if err != nil && refusal.ReasonOf(err) != refusal.Invalid {
			t.Errorf("%v is not a refusal.Invalid", err)
		}
	})
}

func TestNothingAtAll(t *testing.T) {
	for i, rule := range rules {
		if err := rule(nil); err != nil && refusal.ReasonOf(err) != refusal.Invalid {
			t.Errorf("rule %d: %v is not a refusal.Invalid", i, err)
		}
	}
	refused(t, validate.Resources(nil), "")
	refused(t, validate.Resources(resources.Resources{}.Proto()), "")
}

package agentd

import (
	"slices"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/authn"
	"github.com/meseta-project/meseta/internal/meta"
)

// TestWithToken: a custom executor gets its token and no other, whatever its
// framework has given it by that name; the others get none.
func TestWithToken(t *testing.T) {
	c := &container{s: &Server{}, spec: &agent.ContainerSpec{Run: meta.Run{Framework: "f", Executor: "e", Container: "c"}}}
	c.s.cfg.Authentication.ExecutorKey = authn.Key("key")
	env := []string{"A=b", tokenVariable + "=forged", "C=d"}
	c.spec.Builtin = agent.CommandBuiltin
	if got, err := c.withToken(slices.Clone(env)); err != nil || !slices.Equal(got, env) {
		t.Errorf("a command: %q, %v", got, err)
	}
	c.spec.Builtin = agent.Custom
	want, err := c.s.cfg.Authentication.ExecutorKey.Sign(authn.Claims{"fid": "f", "eid": "e", "cid": "c"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.withToken(slices.Clone(env)); err != nil || !slices.Equal(got, []string{"A=b", "C=d", tokenVariable + "=" + want}) {
		t.Errorf("an executor: %q, %v", got, err)
	}
}

// TestContainerOf: of each call that is about a container it is known about which,
// or a token would be good for none of its kind.
func TestContainerOf(t *testing.T) {
	for kind := range agentpb.Call_Type_name {
		call := &agentpb.Call{Type: agentpb.Call_Type(kind).Enum()}
		message := call.ProtoReflect()
		fields := message.Descriptor().Fields()
		for i := range fields.Len() {
			field := fields.Get(i)
			if field.Message() == nil || field.Message().Fields().ByName("container_id") == nil || callField(call) != string(field.Name()) {
				continue
			}
			of := message.Mutable(field).Message()
			id := of.Mutable(field.Message().Fields().ByName("container_id")).Message().Interface().(*mesos.ContainerID)
			id.Value = new("c")
			if got := containerOf(call).GetValue(); got != "c" {
				t.Errorf("%s is about %q", call.GetType(), got)
			}
		}
	}
}

// callField returns the name of the field of a call's arguments.
func callField(call *agentpb.Call) string { return strings.ToLower(call.GetType().String()) }

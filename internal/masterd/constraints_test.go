package masterd

import (
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/wire"
)

// TestOfferConstraintsDebug: agents that constraints exclude are listed by role,
// and every role is there.
func TestOfferConstraintsDebug(t *testing.T) {
	constraints := &schedulerpb.OfferConstraints{}
	if err := wire.UnmarshalJSON([]byte(`{"role_constraints":{"a":{"groups":[{"attribute_constraints":[{
		"selector":{"pseudoattribute_type":"HOSTNAME"},"predicate":{"text_matches":{"regex":"h[12]"}}}]}]}}}`), constraints); err != nil {
		t.Fatal(err)
	}
	rows, s := &tables{}, &master.Snapshot{}
	for _, host := range []string{"h1", "h3"} {
		row := &master.AgentRow{Serial: rows.next(), ID: ids.AgentID("on-" + host), Info: &mesos.AgentInfo{Hostname: &host}}
		rows.agent.Put(row.ID, row)
	}
	multiRole := []*mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()}}
	rows.framework.Put("f1", &master.FrameworkRow{
		Serial: 1, ID: "f1", Info: &mesos.FrameworkInfo{Roles: []string{"a", "b"}, Capabilities: multiRole},
		Constraints: constraints, Suppressed: []string{"b"},
	})
	rows.framework.Put("f2", &master.FrameworkRow{Serial: 2, ID: "f2", Info: &mesos.FrameworkInfo{}})
	s.Agents, s.Frameworks = rows.agent.Snapshot(), rows.framework.Snapshot()
	server := &Server{cfg: Config{Master: master.Config{RegexLimits: allocator.DefaultRegexLimits()}}}
	got := text(t, func(w *wire.Writer) { writeOfferConstraints(newView(server, s), w, nil) })
	const want = `{"frameworks":{"f1":{"suppressed_roles":["b"],"excluded_by_attribute_constraints":{"a":["on-h3"],"b":[]}},` +
		`"f2":{"suppressed_roles":[],"excluded_by_attribute_constraints":{"*":[]}}}}`
	if got != want {
		t.Errorf("%s", got)
	}
}

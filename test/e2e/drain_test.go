package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestDrain drains an agent with a task, offers it again, and gives it up for
// good; all of it survives a restart of the master.
func TestDrain(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, durable("drained"))
	launch := func(id string) {
		t.Helper()
		offer := s.AwaitOffer()
		s.Launch(offer, 0, cluster.Task(offer, id, "sleep 1000"))
		s.AwaitState(id, "TASK_RUNNING")
	}
	operate := func(status int, args ...string) {
		t.Helper()
		if got := meseta(t, append(args, "--master="+c.Master.Addr)...).Exit(time.Minute).ExitCode(); got != status {
			t.Errorf("meseta %v: exit status %d", args, got)
		}
	}
	launch("t1")
	row, err := cluster.AgentRow(c.Master, c.Agents[0])
	if err != nil {
		t.Fatal(err)
	}
	agent := row.Text("agent_info.id.value")
	operate(1, "reactivate", agent)
	operate(1, "drain", "nobody")
	operate(0, "drain", "--grace=1s", agent)
	if status := s.AwaitState("t1", "TASK_KILLED"); status.Text("reason") != "REASON_AGENT_DRAINING" {
		t.Errorf("the task ended with %v", status)
	}
	drained := func() error {
		row, err := cluster.AgentRow(c.Master, c.Agents[0])
		if err == nil && (row.Text("drain_info.state") != "DRAINED" || row.At("deactivated") != true) {
			return fmt.Errorf("the agent is %v", row)
		}
		return err
	}
	cluster.Eventually(t, soon, drained)
	c.Master.Kill9()
	s.AwaitEnd()
	c.Master.Restart(t)
	cluster.Eventually(t, soon, drained)
	s = cluster.Subscribe(t, c.Master, withID(durable("drained"), s.ID))
	operate(0, "reactivate", agent)
	launch("t2")

	request(t, c.Master, "POST", "/api/v1", `{"type":"MARK_AGENT_GONE","mark_agent_gone":{"agent_id":{"value":"`+agent+`"}}}`, 200, "")
	if status := s.AwaitState("t2", "TASK_GONE_BY_OPERATOR"); status.Text("reason") != "REASON_AGENT_REMOVED_BY_OPERATOR" {
		t.Errorf("the task ended with %v", status)
	}
	request(t, c.Master, "POST", "/api/v1", `{"type":"MARK_AGENT_GONE","mark_agent_gone":{"agent_id":{"value":"`+agent+`"}}}`, 200, "")
	request(t, c.Master, "POST", "/api/v1", `{"type":"MARK_AGENT_GONE","mark_agent_gone":{"agent_id":{"value":"nobody"}}}`, 404, "Agent nobody is not known")
	request(t, c.Master, "POST", "/api/v1", `{"type":"DRAIN_AGENT","drain_agent":{"agent_id":{"value":"`+agent+`"}}}`, 400, "Unknown agent")
}

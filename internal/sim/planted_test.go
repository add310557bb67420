package sim

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var plant = flag.Bool("plant", false, "plant known bugs one after the other, and see that each is found")

// planted are bugs of the kinds that such systems have. Each replaces a piece
// of one file.
var planted = []struct{ name, file, was, is string }{
	{
		"tasks revoked below a guarantee", "master/reclaim_plan.go",
		"left.Get(name) < s.guarantee.Get(name)", "left.Get(name) < 0",
	},
	{
		"update acknowledged before it is on disk", "agent/executor.go",
		"a.later(ToExecutor{Conn: x.conn, Event: ev, Scheduler: x.framework.pid})",
		"a.out.Messages = append(a.out.Messages, ToExecutor{Conn: x.conn, Event: ev})",
	},
	{
		"offers kept when a framework disconnects", "master/framework.go",
		"m.withdraw(f, f.roles, true)", "_ = f",
	},
	{
		"tasks handed to an executor each time that it subscribes", "agent/run.go",
		"\tx.queue = nil\n", "",
	},
	{
		"agents that are away never given up", "master/agent_leave.go",
		"if m.leaving[a.id] || m.removals.waits[a.id] != nil {", "if a != nil {",
	},
	{
		"next update sent before the last is acknowledged", "status/status.go",
		"out = append(out, st.pending[0])", "out = append(out, st.pending[len(st.pending)-1])",
	},
	{
		"any acknowledgement taken for that of the last update", "status/status.go",
		"uuid(st.pending[0].GetUuid()) != uuid(id):", "false:",
	},
	{
		"agent welcomed before the registry has it", "master/agent_register.go",
		"m.persist(changes, admitted{", "m.changes = append(m.changes, changes...)\n\tm.proceed(admitted{",
	},
	{
		"resources of a task that ended never freed", "master/task.go",
		"m.release(t.framework, t.agent, row.Resources)\n", "",
	},
	{
		"declined offers never offered again", "master/offer.go",
		"m.alloc.Recover(m.now, o.framework.id, o.agent.id, o.row.Resources, filters)",
		"if filters == nil {\n\t\tm.alloc.Recover(m.now, o.framework.id, o.agent.id, o.row.Resources, filters)\n\t}",
	},
	{
		"agents of an earlier leader forgotten", "master/recover.go",
		"l.agents.Put(ids.AgentID(a.GetInfo().GetId().GetValue()), a.Info)", "_ = a",
	},
	{
		"what comes late, over a connection given up, is heard", "agent/message.go",
		"in.Over != 0 && in.Over < a.registeredOver", "in.Over == 1<<64-1",
	},
	{
		"unacknowledged updates not recovered", "agent/recover.go",
		"s.Updates, s.Acks)", "nil, nil)",
	},
	{
		"agent not asked about tasks that it has not", "master/agent_reregister.go",
		"Reconciliations: m.reconciliations(a),", "",
	},
	{
		"tasks of a framework that is over left to themselves", "agent/framework.go",
		"a.shutdown(x)", "_ = x",
	},
	{
		"updates not sent again to another master", "agent/register.go",
		"a.tellMaster(a.describe())\n\ta.resumeUpdates()\n\tfor", "a.tellMaster(a.describe())\n\tfor",
	},
	{
		"reservations undone by a registration that is late", "agent/register.go",
		"\ta.correctReserved()\n", "",
	},
	{
		"operations that are over put back on the books", "master/operation_status.go",
		" && !over[key]", "",
	},
	{
		"guaranteed resources offered away", "allocator/quota.go",
		"a.headroom.At(i)-a.required.At(i)", "a.headroom.At(i)",
	},
	{
		"limits passed by what guarantees leave", "allocator/quota.go",
		"t.below(i)-guaranteed.At(i)", "t.below(i)",
	},
	{
		"quotas answered before the registry has them", "master/quota.go",
		"m.persistFor(id, changes, quotasSet{id, configs})",
		"m.changes = append(m.changes, changes...)\n\t\tm.quotasInForce(quotasSet{id, configs})",
	},
	{
		"quotas not enforced by a new leader", "master/quota.go",
		"m.alloc.SetQuota(name, l.inForce[i])", "_ = i",
	},
	{
		"timers by the wall clock", "master/deadline.go",
		"d.at, d.seq = m.now.Add(delay)", "d.at, d.seq = m.now.Round(0).Add(delay)",
	},
	{
		"a store that loses what it said is durable", "sim/store.go",
		"s.lead++\n\ts.tail = nil\n",
		"s.lead++\n\ts.tail = nil\n\tif n := len(s.past); n > 0 {\n\t\ts.records, s.version = s.past[n-1].records, s.past[n-1].version\n\t\ts.past = s.past[:n-1]\n\t}\n",
	},
	{
		"offers of an agent kept when it is drained", "master/drain.go",
		"\t\tm.rescindAll(a)\n", "",
	},
	{
		"drained agents offered by a new leader", "master/agent.go",
		"\tm.heedOperators(a)\n", "",
	},
	{
		"gone agents let in again by a new leader", "master/agent_reregister.go",
		"m.registry.IsGone(id)", "m.removed.has(id)",
	},
	{
		"an agent offered again while it is being marked gone", "master/drain.go",
		"m.setAvailability(a, set.drain, set.deactivated)",
		"drain, deactivated, _ := m.registry.Availability(a.id)\n\t\tm.setAvailability(a, drain, deactivated)",
	},
	{
		"inverse offers left over when a schedule is replaced", "master/maintenance.go",
		"\t\tm.rescindAll(a)\n\t\tm.heedSchedule(a)", "\t\tm.heedSchedule(a)",
	},
}

// TestPlanted sees that the bugs can be planted, and with -plant that some
// thousand seeds find each.
func TestPlanted(t *testing.T) {
	for _, bug := range planted {
		path, err := filepath.Abs(filepath.Join("..", bug.file))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), bug.was) {
			t.Errorf("%s: %s does not contain %q", bug.name, bug.file, bug.was)
		} else if *plant {
			t.Run(bug.name, func(t *testing.T) { findPlanted(t, path, strings.ReplaceAll(string(text), bug.was, bug.is)) })
		}
	}
}

// findPlanted runs the seeds with one file replaced.
func findPlanted(t *testing.T, path, text string) {
	dir := t.TempDir()
	broken, overlay := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{broken: []byte(text), overlay: list} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay, "-vet=off", "-run", "TestSeeds", ".",
		"-args", "-seeds", "3000", "-whole", "-lines", "0", "-most", "1")
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		t.Errorf("not found")
	case !strings.Contains(string(out), "repeat with"):
		t.Errorf("%s", out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "repeat with") {
			break
		}
		t.Log(strings.TrimSpace(line))
	}
}

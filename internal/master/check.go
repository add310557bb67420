package master

import (
	"cmp"
	"slices"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/resources"
)

// Check verifies that the books agree with each other, and breaks an invariant
// where they do not. It looks at everything: it is for tests and the simulator,
// after every step.
func (m *Master) Check() {
	for _, a := range m.agents {
		m.checkAgent(a)
	}
	for _, f := range m.frameworks {
		m.checkFrameworkBooks(f)
	}
	for _, d := range m.departing {
		invariant.CheckOne(m.frameworks[d.framework.id] == nil, "framework that is over is not found", "framework", d.framework.id)
		m.checkFrameworkBooks(d.framework)
	}
	for _, f := range m.completed {
		invariant.CheckOne(len(f.tasks)+len(f.executors)+len(f.offers)+len(f.unreachable) == 0,
			"completed framework is empty", "framework", f.id)
		invariant.CheckOne(f.row.Allocated.IsEmpty() && f.row.Offered.IsEmpty(),
			"completed framework has nothing", "framework", f.id)
	}
	for id, o := range m.inverse {
		invariant.CheckOne(o.framework.inverse[id] == o && o.agent.inverse[id] == o && o.agent.unavailability != nil &&
			(o.framework.state == active || o.isWithdrawn() && m.recalling.inverse), "inverse offer is on all books", "offer", id)
	}
	for id, o := range m.offers {
		invariant.CheckOne(o.framework.offers[id] == o && o.agent.offers[id] == o, "offer is on all books", "offer", id)
	}
	m.checkOperations()
	if a := m.coming; a != nil {
		invariant.CheckOne(m.agents[a.id] == a && m.isReturning(a.id) && len(a.offers) == 0, "agent that is coming is on the books", "agent", a.id)
	}
	for _, w := range m.waiting {
		if back, ok := w.then.(readmitted); ok && back.came.agent != nil {
			invariant.CheckOne(back.came.agent == m.coming, "agent that is on the books in part is coming", "agent", back.came.agent.id)
		}
	}
	if a := m.going; a != nil {
		invariant.CheckOne(m.agents[a.id] == a && m.leaving[a.id], "agent that is going is on the books", "agent", a.id)
	}
	for _, b := range m.backlogs {
		m.checkBacklog(b)
	}
	m.checkIndexes()
	m.checkTallies()
}

// checkAgent verifies that an agent's resources are conserved: its tasks and
// executors are all that uses any, and nothing is offered of what they use.
func (m *Master) checkAgent(a *agent) {
	var allocated, offered resources.Resources
	for key, t := range a.tasks {
		invariant.CheckOne(t.agent == a && t.key() == key && t.framework.tasks[t.row.ID] == t,
			"task is on all books", "task", t.row.ID)
		if t.released != frees(t.row.State) {
			invariant.Fail("task has resources while it may use them", "task", t.row.ID, "state", t.row.State)
		}
		if !t.released {
			allocated = allocated.Add(t.row.Resources)
		}
	}
	checkAgentAges(a)
	for key, e := range a.executors {
		invariant.CheckOne(e.agent == a && e.framework.executors[key] == e, "executor is on all books", "executor", key.executor)
		allocated = allocated.Add(e.row.Resources)
	}
	for key, o := range a.operations {
		invariant.CheckOne(o.agent == a && o.key() == key && m.operationRows.table.Get(o.row.Serial) == o.row,
			"operation is on the books", "agent", a.id)
	}
	n := 0
	for o := a.operationsByAge.oldest; o != nil; o = o.here.younger {
		n++
		invariant.CheckOne(a.operations[o.key()] == o && (o.here.younger == nil || o.order() < o.here.younger.order()),
			"operation is listed by age with its agent", "agent", a.id)
	}
	invariant.CheckOne(n == len(a.operations), "all operations on an agent are listed by age", "agent", a.id)
	for _, p := range a.entering {
		invariant.CheckOne(a.operations[string(p.GetUuid().GetValue())] == nil && slices.Contains(m.entering, a),
			"operation that is listed will be on the books", "agent", a.id)
	}
	for id, o := range a.offers {
		invariant.CheckOne(m.offers[id] == o, "offer of agent is on the books", "offer", id)
		offered = offered.Add(o.row.Resources)
	}
	if !allocated.Equal(a.row.Allocated) {
		invariant.Fail("what tasks and executors use is what is allocated",
			"agent", a.id, "use", allocated, "allocated", a.row.Allocated)
	}
	if !offered.Equal(a.row.Offered) {
		invariant.Fail("what offers hold is what is offered", "agent", a.id, "hold", offered, "offered", a.row.Offered)
	}
	// An agent may bring tasks from an earlier leader that together use more
	// than it has: those of a framework that was over, and those that took
	// their place before they had ended. Nothing is offered of that.
	if !offered.IsEmpty() {
		left := a.row.Total.NonShared().Sub(allocated.Unallocated().NonShared())
		if !left.Contains(offered.Unallocated().NonShared()) {
			invariant.Fail("what is offered is there",
				"agent", a.id, "total", a.row.Total, "allocated", allocated, "offered", offered)
		}
	}
	invariant.CheckOne(!a.row.Connected || m.agentAt[a.row.PID] == a, "connected agent has its address", "agent", a.id)
	invariant.CheckOne(a.row.Active || len(a.offers) == 0, "inactive agent has no offers", "agent", a.id)
	invariant.CheckOne(a.row.Connected == (a.state == connected), "row shows the agent's state", "agent", a.id)
}

func (m *Master) checkFrameworkBooks(f *framework) {
	var allocated, offered resources.Resources
	for id, t := range f.tasks {
		invariant.CheckOne(t.framework == f && t.row.ID == id && m.agents[t.agent.id] == t.agent && t.agent.tasks[t.key()] == t,
			"task of framework is on its agent's books", "task", id)
		if !t.released {
			allocated = allocated.Add(t.row.Resources)
		}
	}
	m.checkAges(f)
	m.checkAnswers(f)
	for id, a := range f.agents {
		invariant.CheckOne(m.agents[id] == a && a.frameworks[f.id] == f, "framework and agent know each other", "framework", f.id)
	}
	for key, e := range f.executors {
		invariant.CheckOne(m.agents[key.agent] == e.agent && e.agent.executors[key] == e,
			"executor of framework is on its agent's books", "executor", key.executor)
		allocated = allocated.Add(e.row.Resources)
	}
	for id, o := range f.offers {
		invariant.CheckOne(m.offers[id] == o, "offer of framework is on the books", "offer", id)
		invariant.CheckOne(o.isWithdrawn() || f.state == active && slices.Contains(f.roles, o.row.Role),
			"only active frameworks have offers, in their roles", "offer", id)
		offered = offered.Add(o.row.Resources)
	}
	invariant.CheckOne(m.recalling.on || f.withdrawn == nil, "offers that were withdrawn are taken back", "framework", f.id)
	// Ports of several agents have the same numbers: only scalars add up.
	if !allocated.Scalars().Equal(f.row.Allocated.Scalars()) {
		invariant.Fail("what a framework uses is what is allocated to it",
			"framework", f.id, "uses", allocated, "allocated", f.row.Allocated)
	}
	if !offered.Scalars().Equal(f.row.Offered.Scalars()) {
		invariant.Fail("what a framework is offered is what its offers hold",
			"framework", f.id, "hold", offered, "offered", f.row.Offered)
	}
	for _, t := range f.unreachable {
		invariant.CheckOne(m.outOfReach[t.row.Agent][f] > 0, "task out of reach is counted", "task", t.row.ID)
	}
	invariant.CheckOne(len(f.completed) <= m.cfg.MaxCompletedTasksPerFramework &&
		len(f.unreachable) <= m.cfg.MaxUnreachableTasksPerFramework, "framework's lists are bounded", "framework", f.id)
}

// checkBacklog verifies that an ACCEPT is of who is there, for an agent that is.
func (m *Master) checkBacklog(b *backlog) {
	f, x := b.framework, b.accepting
	invariant.CheckOne(f.backlog == b, "framework knows its backlog", "framework", f.id)
	if x == nil {
		return
	}
	invariant.CheckOne(x.framework == f && m.frameworks[f.id] == f, "framework that is over accepts nothing", "framework", f.id)
	invariant.CheckOne(x.agent == nil || m.agents[x.agent.id] == x.agent && x.agent.row.Connected, "ACCEPT is for an agent that is connected", "framework", f.id)
	invariant.CheckOne(x.agent == nil || len(x.conversions) == 0, "the allocator knows what was converted", "framework", f.id)
}

// checkAges verifies that a framework's tasks are listed from the youngest to the
// oldest.
func (m *Master) checkAges(f *framework) {
	n := 0
	for t := f.byAge.youngest; t != nil; t = t.older {
		n++
		invariant.CheckOne(f.tasks[t.row.ID] == t, "task listed by age is on the books", "task", t.row.ID)
		invariant.CheckOne(t.older == nil || t.older.younger == t && t.older.row.Serial < t.row.Serial,
			"task is younger than the one behind it", "task", t.row.ID)
	}
	invariant.CheckOne((f.byAge.oldest == nil) == (n == 0) && (n == 0 || f.byAge.oldest.older == nil), "the oldest task has none behind it", "framework", f.id)
	invariant.CheckOne(n == len(f.tasks), "all tasks are listed by age", "framework", f.id)
}

// checkAnswers verifies that what a framework is to be answered about is on the books.
func (m *Master) checkAnswers(f *framework) {
	if w := f.answers.tasks.all; w.next != nil {
		invariant.CheckOne(f.tasks[w.next.row.ID] == w.next && f.tasks[w.last.row.ID] == w.last && w.next.order() <= w.last.order(),
			"answer about tasks goes on with one on the books", "framework", f.id)
	}
	if w := f.answers.operations.all; w.next != nil {
		next, last := w.next.agent.operations[w.next.key()], w.last.agent.operations[w.last.key()]
		invariant.CheckOne(next == w.next && last == w.last && next.order() <= last.order(),
			"answer about operations goes on with one on the books", "framework", f.id)
	}
	invariant.CheckOne(f.answers.areWhole() || slices.Contains(m.answers, f), "answer is gone on with", "framework", f.id)
}

// checkOperations verifies that the operations of each framework are listed from the
// oldest to the youngest, all of them and those with each ID that it gave.
func (m *Master) checkOperations() {
	byAge := slices.SortedFunc(m.operationRows.table.All(), func(a, b *OperationRow) int { return cmp.Compare(a.Serial, b.Serial) })
	type name struct {
		framework ids.FrameworkID
		id        string
	}
	last, lastNamed, names := map[ids.FrameworkID]*operation{}, map[name]*operation{}, 0
	for _, row := range byAge {
		o, f := m.agents[row.Agent].operations[string(row.UUID)], row.Framework
		all := m.operations[f]
		invariant.CheckOne(o.row == row && follows(&all.byAge, last[f], o, (*operation).byAge), "operation is listed by age", "operation", row.Serial)
		last[f] = o
		if id := row.Info.GetId(); id != nil {
			key := name{f, id.GetValue()}
			same := all.named[key.id]
			invariant.CheckOne(follows(&same, lastNamed[key], o, (*operation).namesakes), "operation is listed by its ID", "operation", row.Serial)
			lastNamed[key] = o
		}
	}
	for f, all := range m.operations {
		names += len(all.named)
		invariant.CheckOne(all.byAge.youngest == last[f], "no other operations are listed", "framework", f)
	}
	for key, o := range lastNamed {
		invariant.CheckOne(m.operations[key.framework].named[key.id].youngest == o, "no other operations have an ID", "operation", key.id)
	}
	invariant.Check(len(m.operations) == len(last) && names == len(lastNamed), "only what has operations is listed")
}

// follows reports whether one comes after another in a chain, or first if that is nil.
func follows[T any](c *chain[T], older, one *T, of func(*T) *neighbours[T]) bool {
	next := c.oldest
	if older != nil {
		next = of(older).younger
	}
	return next == one && of(one).older == older
}

// checkAgentAges is checkAges for an agent's tasks, from the oldest to the youngest.
func checkAgentAges(a *agent) {
	n := 0
	for t := a.tasksByAge.oldest; t != nil; t = t.here.younger {
		n++
		invariant.CheckOne(a.tasks[t.key()] == t && (t.here.younger == nil || t.row.Serial < t.here.younger.row.Serial),
			"task is listed by age with its agent", "task", t.row.ID)
	}
	invariant.CheckOne(n == len(a.tasks), "all tasks are listed by age", "agent", a.id)
}

// checkIndexes verifies that whatever an index finds is there.
func (m *Master) checkIndexes() {
	var guaranteed tally
	for name := range m.registry.Quotas() {
		for resource, amount := range m.recordedGuarantee(name).All() {
			guaranteed.add(resource, amount)
		}
	}
	invariant.Check(guaranteed.equal(m.guaranteed), "it is known what all roles are guaranteed")
	for conn, f := range m.conns {
		invariant.CheckOne(m.frameworks[f.id] == f && f.row.Peer.Conn == conn, "stream belongs to its framework", "framework", f.id)
	}
	for pid, f := range m.frameworkAt {
		invariant.CheckOne(m.frameworks[f.id] == f && f.row.Peer.Driver == pid, "driver belongs to its framework", "framework", f.id)
	}
	for pid, a := range m.agentAt {
		invariant.CheckOne(m.agents[a.id] == a && a.row.PID == pid, "address belongs to its agent", "agent", a.id)
	}
	for n, a := range m.observers {
		invariant.CheckOne(m.agents[a.id] == a && a.observer == n, "observer belongs to its agent", "agent", a.id)
	}
	for info := range m.recovered.All() {
		id := ids.AgentID(info.GetId().GetValue())
		invariant.CheckOne(m.agents[id] == nil, "agent that is back is not waited for", "agent", id)
		invariant.CheckOne(m.registry.Agent(id) != nil || m.leaving[id], "agent waited for is in the registry", "agent", id)
	}
	for id := range m.agents {
		invariant.CheckOne(m.registry.Agent(id) != nil || m.leaving[id], "agent on the books is in the registry", "agent", id)
	}
	for id, counts := range m.outOfReach {
		for f, n := range counts {
			invariant.CheckOne(n > 0, "only frameworks with tasks out of reach are listed with an agent", "agent", id)
			for _, t := range f.unreachable {
				if t.row.Agent == id {
					n--
				}
			}
			invariant.Check(n == 0, "tasks out of reach are counted", "agent", id, "framework", f.id)
		}
	}
	for i, d := range m.deadlines {
		invariant.CheckOne(d.index == i, "deadline knows its place", "kind", d.kind)
	}
	invariant.Check(len(m.completed) <= m.cfg.MaxCompletedFrameworks, "completed frameworks are bounded")
	invariant.Check(len(m.removed.list) <= m.cfg.MaxRemovedAgents, "removed agents are bounded")
}

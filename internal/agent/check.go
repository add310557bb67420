package agent

import "github.com/meseta-project/meseta/internal/invariant"

// Check panics with an [invariant.Violation] if the agent contradicts itself. It
// looks at everything, so it is for tests and the simulator.
func (a *Agent) Check() {
	runs, conns := 0, 0
	for id, f := range a.frameworks {
		invariant.CheckOne(id == f.id, "a framework is where it belongs", "framework_id", id)
		f.check(a)
		runs += len(f.executors)
		for _, x := range f.executors {
			if x.conn != 0 {
				conns++
			}
		}
	}
	invariant.CheckOne(runs == len(a.byRun), "runs are found by their containers", "runs", runs)
	invariant.CheckOne(conns == len(a.byConn), "runs are found by their streams", "streams", conns)
	invariant.Check(len(a.completed.kept) <= a.cfg.MaxCompletedFrameworks, "completed frameworks are bounded")
	invariant.CheckOne((a.state == Running) == !a.registered.IsZero(), "who runs is registered", "state", a.state)
	invariant.Check(a.state != Running || a.master != "" && a.id() != "", "who runs has a master and an ID")
	invariant.Check(!a.out.Done || a.state == Terminating && len(a.frameworks) == 0, "who is done runs nothing")
	a.checkRows()
}

// checkRows compares what readers see with what is.
func (a *Agent) checkRows() {
	frameworks, executors, tasks := len(a.frameworks)+len(a.completed.kept), 0, 0
	count := func(f *framework) {
		executors += len(f.executors) + len(f.ended.kept)
		for _, x := range f.executors {
			tasks += len(x.tasks) + len(x.completed.kept)
		}
		for _, x := range f.ended.kept {
			tasks += len(x.tasks) + len(x.completed.kept)
		}
	}
	for _, f := range a.frameworks {
		count(f)
	}
	for _, f := range a.completed.kept {
		count(f)
	}
	invariant.CheckOne(a.rows.frameworks.Len() == frameworks, "readers see every framework", "frameworks", frameworks)
	invariant.CheckOne(a.rows.executors.Len() == executors, "readers see every executor", "executors", executors)
	invariant.CheckOne(a.rows.tasks.Len() == tasks, "readers see every task", "tasks", tasks)
}

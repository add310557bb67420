package sim

import "time"

// Shrink looks for a smaller run that fails by the same checker: with fewer
// kinds of faults, nodes and tasks, and a shorter first phase. It tries at most
// so many runs.
func Shrink(failed Result, runs int) Result {
	best := failed
	for progress := true; progress && runs > 0; {
		progress = false
		for _, p := range smaller(best.Plan) {
			if runs--; runs < 0 {
				break
			}
			if r := Run(p, false); r.Failure != nil && r.Failure.Checker == failed.Failure.Checker {
				best, progress = r, true
				break
			}
		}
	}
	return best
}

// smaller returns plans that are a little smaller, the most promising first.
func smaller(p Plan) []Plan {
	var out []Plan
	with := func(change func(*Plan)) {
		q := p
		change(&q)
		if q != p {
			out = append(out, q)
		}
	}
	with(func(q *Plan) { q.Horizon = (q.Horizon / 2).Truncate(time.Second) })
	for _, f := range p.Faults.All() {
		with(func(q *Plan) { q.Faults = q.Faults.Without(f) })
	}
	with(func(q *Plan) { q.Schedulers = max(1, q.Schedulers-1) })
	with(func(q *Plan) { q.Agents = max(1, q.Agents-1) })
	with(func(q *Plan) { q.Masters = max(1, q.Masters-1) })
	with(func(q *Plan) { q.Tasks = max(1, q.Tasks/2) })
	with(func(q *Plan) { q.Tasks = max(1, q.Tasks-1) })
	with(func(q *Plan) { q.Horizon = max(time.Second, (q.Horizon * 3 / 4).Truncate(time.Second)) })
	return out
}

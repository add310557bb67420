package master

import "github.com/meseta-project/meseta/internal/refusal"

// maxErrands is how many calls of operators are worked on; more are refused. Each
// may name as much as fits into a body of 64 MiB.
const maxErrands = 64

// An errand is a call of an operator's that may name very many roles or machines:
//
//	each checked ─▶ each recorded ─▶ durable ─▶ each put in force ─▶ answered
//	     │                                      (an errand of its own)
//	     └─▶ refused: nothing of it is done
//
// Its stages are done a part at a time, and nothing is offered meanwhile. Errands
// are done one after the other, so none finds another's half done.
type errand struct {
	request RequestID
	stages  []stage // that are not done
	next    int     // in the first
}

// A stage is something that is done as many times as there are to do it for. What is
// refused ends the errand.
type stage struct {
	times func() int
	do    func(i int) *refusal.Error
}

// each is a stage that is done for each of a list, as it is then.
func each[T any](list *[]T, do func(i int, one T) *refusal.Error) stage {
	return stage{func() int { return len(*list) }, func(i int) *refusal.Error { return do(i, (*list)[i]) }}
}

// once is a stage that is done once.
func once(do func()) stage {
	return check(func() *refusal.Error { do(); return nil })
}

// check is a stage that is done once, and may refuse.
func check(do func() *refusal.Error) stage {
	return stage{func() int { return 1 }, func(int) *refusal.Error { return do() }}
}

// undertake begins an errand, when those before it are done. A call that has begun
// is never refused a later part for want of room.
func (m *Master) undertake(request RequestID, stages ...stage) {
	if request != 0 && !m.undertaken[request] && len(m.undertaken) >= maxErrands {
		m.reply(request, refusal.Unavailablef("The master is busy with %d calls of operators; try again in a moment", maxErrands))
		return
	}
	m.undertaken[request] = true
	m.errands = append(m.errands, &errand{request: request, stages: stages})
	if len(m.errands) == 1 {
		m.goOnErrands(m.cfg.AllocationBudget)
	}
}

// goOnErrands goes on with errands, the first come first. It may cost as much as to
// look at budget offers, and returns how many of them are left. To do something for
// one role or machine is as much work as to look at two.
func (m *Master) goOnErrands(budget int) (left int) {
	for len(m.errands) > 0 {
		e := m.errands[0]
		err := e.goOn(&budget)
		if err == nil && len(e.stages) > 0 {
			return 0
		}
		m.errands = m.errands[1:]
		m.answerLater(e.request, err)
	}
	return max(0, budget)
}

func (e *errand) goOn(budget *int) *refusal.Error {
	for ; len(e.stages) > 0; e.stages, e.next = e.stages[1:], 0 {
		for s := e.stages[0]; e.next < s.times(); e.next++ {
			if *budget <= 0 {
				return nil
			}
			*budget -= 2
			if err := s.do(e.next); err != nil {
				return err
			}
		}
	}
	return nil
}

package sim

import (
	"errors"
	"time"

	"github.com/meseta-project/meseta/allocation"
	"github.com/meseta-project/meseta/internal/master"
)

// rank is the allocation module of a master: while there are faults it answers
// well, late, never, with nonsense, or dies; and well when they are over.
func (m *masterNode) rank(ask master.RankDemand) {
	r := m.w.rand(ModuleFailure.String())
	answer := master.Ranked{Seq: ask.Seq}
	answer.Ranking, _ = allocation.Random{Rand: r}.Rank(ask.Demand)
	wait := m.w.between("module", 0, 300*time.Millisecond)
	if !m.w.healed {
		switch r.IntN(6) {
		case 0:
			answer.Err = errors.New("the module has died")
		case 1:
			return // it stalls
		case 2:
			wait = m.w.between("module", time.Second, 20*time.Second)
		case 3:
			answer.Ranking.Roles["unheard of"] = -1
		case 4:
			answer.Ranking.Frameworks = map[string]map[string]int32{"*": {"unheard of": 1}}
		}
	}
	m.w.after(wait, m.inThisLife(func() { m.tell("module", answer) }))
}

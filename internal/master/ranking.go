package master

import (
	"log/slog"

	"github.com/meseta-project/meseta/allocation"
)

// A ranking is how far a policy (Config.Policy, Config.Module) is with its order:
//
//	         every RankInterval           in time
//	waiting ────────────────────▶ asked ──────────▶ waiting, followed
//	                                │
//	                                └─────────────▶ waiting, not followed
//	                      failed, nonsense, silent
//
// Each question has a number; answers to others come too late and are dropped.
// While the policy is not followed the order is by shares, or nothing is
// offered. A policy in this process answers at once.
type ranking struct {
	asked   uint64            // number of the question that waits for an answer; 0: none
	demand  allocation.Demand // that it is about
	overdue *deadline
	failed  bool // it was told of in the log
	stale   bool // somebody came that the policy has not seen
	seq     uint64
}

// maxRanked bounds how many frameworks in roles a policy is shown.
const maxRanked = 6000

// beginRanking has the policy asked for the first time, if there is one.
func (m *Master) beginRanking() {
	if m.cfg.Policy == nil && !m.cfg.Module {
		return
	}
	m.alloc.Pause(m.cfg.ModuleStops)
	m.rankDue()
}

// rankDue asks the policy anew, unless an answer of its is still waited for.
func (m *Master) rankDue() {
	m.after(m.cfg.RankInterval, deadline{kind: rankDue})
	r := &m.ranking
	switch {
	case m.cfg.Policy != nil:
		r.stale = true
	case r.asked == 0:
		r.seq++
		r.asked, r.demand = r.seq, m.alloc.Demand(maxRanked)
		r.overdue = m.after(m.cfg.ModuleTimeout, deadline{kind: rankOverdue})
		m.out.Messages = append(m.out.Messages, RankDemand{Seq: r.seq, Demand: r.demand})
	}
}

// rankNow asks a policy in this process, before anything is offered: so nobody
// is served out of turn who has come since.
func (m *Master) rankNow() {
	if !m.ranking.stale {
		return
	}
	m.ranking.stale = false
	if m.cfg.Policy != nil {
		demand := m.alloc.Demand(maxRanked)
		answer, err := m.cfg.Policy.Rank(demand)
		m.follow(demand, answer, err)
	}
}

// ranked takes a module's answer.
func (m *Master) ranked(in Ranked) {
	r := &m.ranking
	if in.Seq != r.asked || in.Seq == 0 {
		m.counters.Policy.Late++
		return
	}
	demand := r.demand
	m.cancel(r.overdue)
	r.asked, r.demand, r.overdue = 0, allocation.Demand{}, nil
	m.follow(demand, in.Ranking, in.Err)
}

// rankingOverdue gives up on an answer.
func (m *Master) rankingOverdue() {
	r := &m.ranking
	r.asked, r.demand, r.overdue = 0, allocation.Demand{}, nil
	m.unfollow("it has not answered in " + m.cfg.ModuleTimeout.String())
}

// follow has roles and frameworks served as a policy wants, if it makes sense.
func (m *Master) follow(demand allocation.Demand, answer allocation.Ranking, err error) {
	if err == nil {
		err = allocation.Check(demand, answer)
	}
	if err != nil {
		m.unfollow(err.Error())
		return
	}
	m.counters.Policy.Answers++
	if m.ranking.failed {
		m.ranking.failed = false
		m.log.Info("the allocation policy is followed again")
	}
	m.alloc.SetRanking(answer)
	m.alloc.Pause(false)
}

// unfollow does without the policy until it answers again.
func (m *Master) unfollow(why string) {
	m.counters.Policy.Failures++
	if !m.ranking.failed {
		m.ranking.failed = true
		m.log.Error("the allocation policy fails", slog.String("error", why), slog.Bool("offering", !m.cfg.ModuleStops))
	}
	m.alloc.SetRanking(allocation.Ranking{})
	m.alloc.Pause(m.cfg.ModuleStops)
}

package masterd

import (
	"context"

	"github.com/meseta-project/meseta/allocation"
	"github.com/meseta-project/meseta/internal/master"
)

// A Ranker is an allocation module. Rank may take as long as it likes, until ctx
// is done; it is called by one goroutine.
type Ranker interface {
	Rank(ctx context.Context, d allocation.Demand) (allocation.Ranking, error)
}

// rank asks the module what the core wants to know, one question after the
// other, until ctx is done. The core does not wait for it.
func (s *Server) rank(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case ask := <-s.demands:
			limited, cancel := context.WithTimeout(ctx, s.cfg.Master.ModuleTimeout)
			answer, err := s.cfg.Ranker.Rank(limited, ask.Demand)
			cancel()
			s.tell(master.Ranked{Seq: ask.Seq, Ranking: answer, Err: err})
		}
	}
}

// demand hands a question on, in the place of one that the module has not got
// to. Only the loop calls it.
func (s *Server) demand(ask master.RankDemand) {
	for {
		select {
		case s.demands <- ask:
			return
		default:
		}
		select {
		case <-s.demands: // the core has given up on it
		default:
		}
	}
}

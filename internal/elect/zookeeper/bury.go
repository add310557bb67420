package zookeeper

import (
	"context"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
)

// lookAgain is when to look again for a leader to watch, or after a connection
// to it broke.
const lookAgain = time.Second

// bury deletes the znode of the leader if its process is dead for sure, so that
// nobody waits for its session to end: a server gives it the session's time, and
// up to a tick more. Where nothing is known of the process that time decides.
// Should this be wrong all the same, the leader, ours or one of Apache Mesos,
// sees that its znode is gone and ends, and nothing else is harmed.
func (e *Elector) bury(ctx context.Context, s *session, leader candidate) {
	znode := e.cfg.URL.Path + "/" + leader.name
	for ctx.Err() == nil {
		data, stat, err := s.Get(znode)
		if err == nil {
			info, err := leader.decode(data)
			if err == nil && libprocess.Dies(ctx, ids.UPID(info.GetPid()).Address()) {
				e.cfg.Log.Info("the leader is dead: deleting its znode")
				_ = s.Delete(znode, stat.Version) // else its session ends in its time
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
}

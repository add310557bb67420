package etcd

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
)

const (
	lookAgain = time.Second // for a leader to watch, or after a connection to it broke

	revocations = 10
	revokeTime  = 300 * time.Millisecond
	betweenTry  = 20 * time.Millisecond
)

// bury ends the session of a leader whose process is dead for sure, so that
// nobody waits for its time to pass: a connection to it that was open broke,
// and its machine then refuses others. A machine that is down or cut off
// refuses nothing; there the session's time decides. Should it be wrong all the
// same, a leader steps down, and nothing else is harmed.
func (e *Elector) bury(ctx context.Context, client *clientv3.Client) {
	for ctx.Err() == nil {
		leader, _, err := e.first(ctx, client)
		if err == nil && leader != nil {
			info, err := decode(leader.Value)
			if err == nil && libprocess.Dies(ctx, ids.UPID(info.GetPid()).Address()) {
				e.cfg.Log.Info("the leader is dead: ending its session")
				revoke(ctx, client, clientv3.LeaseID(leader.Lease))
			}
		}
		sleep(ctx, lookAgain)
	}
}

// revoke ends a session, else its time passes. The dead may have led etcd as
// well, which then loses what it is asked until it has another leader.
func revoke(ctx context.Context, client *clientv3.Client, lease clientv3.LeaseID) {
	for range revocations {
		limited, cancel := context.WithTimeout(ctx, revokeTime)
		_, err := client.Revoke(limited, lease)
		cancel()
		if err == nil || errors.Is(err, rpctypes.ErrLeaseNotFound) || ctx.Err() != nil {
			return
		}
		sleep(ctx, betweenTry)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

package main

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// loss is what the loss of a leader took.
type loss struct{ leads, offer, all time.Duration }

// masters starts three.
func masters(t cluster.TB, backend string) (all []*cluster.Node) {
	if backend == "zookeeper" {
		where := "zk://" + cluster.StartZooKeeper(t, time.Second).Addr + "/mesos"
		for range 3 {
			all = append(all, cluster.StartStandby(t, "--zk="+where, "--zk_session_timeout="+*session))
		}
		return all
	}
	if backend == "etcd" {
		where := "etcd://" + cluster.StartEtcd(t).Addr + "/meseta"
		for range 3 {
			all = append(all, cluster.StartStandby(t, "--etcd="+where, "--etcd_session_timeout="+*session))
		}
		return all
	}
	var peers []string
	for range 3 {
		peers = append(peers, "127.0.0.1:"+strconv.Itoa(cluster.FreePort(t)))
	}
	for _, own := range peers {
		all = append(all, cluster.StartStandby(t, "--peers="+strings.Join(peers, ","), "--peer_address="+own, "--etcd_session_timeout="+*session))
	}
	return all
}

// lose kills the leader of a cluster with n agents, and waits for what follows.
func lose(t cluster.TB, backend string, n int) loss {
	all := masters(t, backend)
	simulate(t, n, cluster.Addresses(all...))
	leader := cluster.Leader(t, all...)
	cluster.Eventually(t, time.Minute, func() error { return active(leader, n) })
	info := cluster.Framework("bench", "*")
	info["failover_timeout"] = 3600.0
	s := cluster.Subscribe(t, leader, info)
	s.AwaitOffer()
	info["id"] = cluster.J{"value": s.ID}

	begin := time.Now()
	if *stop {
		leader.Signal(syscall.SIGSTOP)
	} else {
		leader.Kill9()
	}
	next := cluster.Leader(t, cluster.Without(all, leader)...)
	l := loss{leads: time.Since(begin)}
	cluster.Subscribe(t, next, info).AwaitOffer()
	l.offer = time.Since(begin)
	cluster.Eventually(t, time.Minute, func() error { return active(next, n) })
	l.all = time.Since(begin)
	return l
}

// active says why a master does not have n agents.
func active(m *cluster.Node, n int) error {
	reply, err := cluster.Get(m.URL + "/metrics/snapshot")
	if err != nil {
		return err
	}
	if got := int(reply.JSON().Number("master/slaves_active")); got != n {
		return fmt.Errorf("%d agents are active, want %d", got, n)
	}
	return nil
}

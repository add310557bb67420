package cluster

import (
	"fmt"
	"os/exec"
)

// Etcd is a running server of etcd's of one member, as Debian has it. That is of
// another version, 3.4, than what is linked into masters.
type Etcd struct {
	*Process
	// Addr is host:port.
	Addr string
}

// StartEtcd starts a server, with flags added to the usual ones, and returns
// when it answers. Without the server the test is skipped, or fails if $CI is
// set.
func StartEtcd(t TB, flags ...string) *Etcd {
	t.Helper()
	return StartEtcdAt(t, loopback(FreePort(t)), loopback(FreePort(t)), flags)
}

// StartEtcdAt is StartEtcd at addresses for clients and peers, by a program that
// runs the rest of its command line, such as nsenter.
func StartEtcdAt(t TB, addr, peer string, flags []string, by ...string) *Etcd {
	t.Helper()
	etcd, err := exec.LookPath("etcd")
	if err != nil {
		Unavailable(t, "no etcd: install Debian's package etcd-server: %v", err)
	}
	e := &Etcd{Addr: addr}
	usual := []string{
		"--data-dir=" + t.TempDir(), "--listen-client-urls=http://" + addr, "--advertise-client-urls=http://" + addr,
		"--listen-peer-urls=http://" + peer, "--initial-advertise-peer-urls=http://" + peer, "--initial-cluster=default=http://" + peer,
		"--heartbeat-interval=50", "--election-timeout=300", "--bcrypt-cost=4", "--logger=zap", "--log-level=warn",
	}
	e.Process = Start(t, "etcd", nil, append(append(by, etcd), override(usual, flags)...)...)
	e.Ready(t)
	return e
}

// Ready waits until the server answers, whether it is full or not.
func (e *Etcd) Ready(t TB) {
	t.Helper()
	Eventually(t, Patience, func() error {
		reply, err := Get("http://" + e.Addr + "/version")
		if err == nil && reply.Status != 200 {
			err = fmt.Errorf("it says %d %s", reply.Status, reply.Body)
		}
		return err
	})
}

// Restart starts the server again and returns when it answers.
func (e *Etcd) Restart(t TB) {
	t.Helper()
	e.Start()
	e.Ready(t)
}

package cluster

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// zookeeperJar is where Debian's package zookeeper has the server.
const zookeeperJar = "/usr/share/java/zookeeper.jar"

// ZooKeeper is a running server of Apache ZooKeeper's.
type ZooKeeper struct {
	*Process
	// Addr is host:port.
	Addr string
}

// StartZooKeeper starts a server whose shortest session is two ticks, and
// returns when it answers. Without Java or the server the test is skipped, or
// fails if $CI is set.
func StartZooKeeper(t TB, tick time.Duration) *ZooKeeper {
	t.Helper()
	return StartZooKeeperAt(t, tick, loopback(FreePort(t)))
}

// StartZooKeeperAt is StartZooKeeper at an address, by a program that runs the
// rest of its command line, such as nsenter.
func StartZooKeeperAt(t TB, tick time.Duration, addr string, by ...string) *ZooKeeper {
	t.Helper()
	java, err := exec.LookPath("java")
	if err == nil {
		_, err = os.Stat(zookeeperJar)
	}
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("no ZooKeeper: install Debian's package zookeeper: %v", err)
	}
	if err != nil {
		t.Skipf("no ZooKeeper: install Debian's package zookeeper: %v", err)
	}
	dir := t.TempDir()
	z := &ZooKeeper{Addr: addr}
	host, port, _ := strings.Cut(z.Addr, ":")
	config := filepath.Join(dir, "zoo.cfg")
	text := fmt.Sprintf("tickTime=%d\ndataDir=%s\nclientPort=%s\nclientPortAddress=%s\nadmin.enableServer=false\nmaxClientCnxns=0\n",
		tick.Milliseconds(), dir, port, host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	z.Process = Start(t, "zookeeper", nil, append(by, java, "-Xmx1g", "-XX:+UseSerialGC", "-Dzookeeper.4lw.commands.whitelist=*",
		"-Dzookeeper.jmx.log4j.disable=true", "-cp", zookeeperJar, "org.apache.zookeeper.server.ZooKeeperServerMain", config)...)
	z.Ready(t)
	return z
}

// Ready waits until the server answers.
func (z *ZooKeeper) Ready(t TB) {
	t.Helper()
	Eventually(t, Patience, func() error {
		conn, err := net.DialTimeout("tcp", z.Addr, time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write([]byte("srvr")); err != nil {
			return err
		}
		answer, err := io.ReadAll(conn)
		if err == nil && !strings.Contains(string(answer), "Mode: ") {
			err = fmt.Errorf("it answers %q", answer)
		}
		return err
	})
}

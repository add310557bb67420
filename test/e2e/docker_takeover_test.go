package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/test/cluster"
)

// TestTakeOverDocker: the container that mesos-docker-executor has had the Docker Engine
// make runs on when our agent comes, and is ended when that executor was killed.
func TestTakeOverDocker(t *testing.T) {
	t.Parallel()
	engine := cluster.StartDocker(t)
	engine.Load(t)
	master := cluster.StartMaster(t)
	agent := cluster.StartAgent(t, master, "--containerizers=docker,mesos", "--docker_socket="+engine.Socket, "--docker_remove_delay=1ms")
	s := cluster.Subscribe(t, master, durable("docker's"))
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "own", "")
	delete(task, "command")
	task["executor"] = aloof(cluster.Executor("own"))
	s.Launch(offer, 0, task)
	id := s.AwaitState("own", "TASK_RUNNING").Text("container_status.container_id.value")
	agent.Kill9()
	pid := becomeForeign(t, agent, "own", false, false)
	becomeDockers(t, agent, "own")
	ask := func(path, body string) {
		if _, err := engine.Ask(http.MethodPost, path, strings.NewReader(body)); err != nil {
			t.Fatal(path, err)
		}
	}
	ask("/containers/create?name=mesos-"+id, `{"Image": "box:1", "Cmd": ["/bin/sh", "-c", "exec sleep 1000"]}`)
	ask("/containers/mesos-"+id+"/start", "")
	running := func() error {
		found, err := engine.Ask(http.MethodGet, "/containers/mesos-"+id+"/json", nil)
		if err == nil && found.At("State.Running") != true {
			err = fmt.Errorf("the container is %v", found.At("State"))
		}
		return err
	}
	agent.Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(master, agent) })
	cluster.Eventually(t, soon, func() error { return stillOn(s, "own") })
	if err := running(); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	for _, pid := range cluster.Inside(agent.WorkDir) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	s.AwaitState("own", "TASK_FAILED")
	cluster.Eventually(t, soon, func() error {
		if names := engine.Names(); len(names) > 0 {
			return fmt.Errorf("the Engine has %v", names)
		}
		return nil
	})
}

// becomeDockers makes an executor one whose container is the Docker Engine's, in what is
// remembered of it.
func becomeDockers(t *testing.T, agent *cluster.Node, executor string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(agent.WorkDir, "meta/slaves/latest/frameworks/*/executors", executor, "executor.info"))
	if err != nil || len(found) != 1 {
		t.Fatalf("records of executor %s: %v %v", executor, found, err)
	}
	record, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	info := &mesos.ExecutorInfo{}
	if err := proto.Unmarshal(record[4:], info); err != nil {
		t.Fatal(err)
	}
	info.Container = &mesos.ContainerInfo{Type: mesos.ContainerInfo_DOCKER.Enum(), Docker: &mesos.ContainerInfo_DockerInfo{Image: new("box:1")}}
	if err := os.WriteFile(found[0], framed(t, info), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDockerKilledBetween kills the agent when the Docker Engine has started a container
// and nobody was told: the next life tells what there is to know of it.
func TestDockerKilledBetween(t *testing.T) {
	t.Parallel()
	engine := cluster.StartDocker(t)
	engine.Load(t)
	gate := gateBefore(t, engine.Socket)
	master := cluster.StartMaster(t)
	agent := cluster.StartAgent(t, master, "--containerizers=docker,mesos", "--docker_socket="+gate.socket, "--docker_remove_delay=1ms")
	s := cluster.Subscribe(t, master, durable("between"))
	offer := s.AwaitOffer()
	task := dockered(offer, "t", "exec sleep 1000", nil)
	task["command"].(J)["environment"] = J{"variables": []J{secretVariable("HIDDEN")}}
	gate.shut.Store(true)
	s.Launch(offer, 0, task)
	cluster.Eventually(t, cluster.Patience, func() error {
		if gate.held.Load() == 0 {
			return errors.New("the agent has not started the container yet")
		}
		return nil
	})
	agent.Kill9()
	gate.shut.Store(false)
	agent.Restart(t)
	status := s.AwaitState("t", "TASK_RUNNING")
	inspected, err := base64.StdEncoding.DecodeString(status.Text("data"))
	if text := string(inspected); err != nil || !strings.Contains(text, `"Name": "/mesos-`) || !strings.Contains(text, `"HIDDEN="`) {
		t.Errorf("data %s, %v", inspected, err)
	}
	s.Kill("t")
	s.AwaitState("t", "TASK_KILLED")
	cluster.Eventually(t, cluster.Patience, func() error {
		if names := engine.Names(); len(names) > 0 {
			return fmt.Errorf("the Engine has %v", names)
		}
		return nil
	})
}

// engineGate is what an agent reaches the Docker Engine through. While it is shut nobody is
// told of a container.
type engineGate struct {
	socket string
	shut   atomic.Bool
	held   atomic.Int32 // who has asked meanwhile
}

func gateBefore(t *testing.T, socket string) *engineGate {
	t.Helper()
	g := &engineGate{socket: socket + ".gate"}
	l, err := net.Listen("unix", g.socket)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.shut.Load() && strings.HasSuffix(r.URL.Path, "/json") && strings.Contains(r.URL.Path, "/containers/mesos-") {
			g.held.Add(1)
			<-r.Context().Done()
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // until it is closed
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return g
}

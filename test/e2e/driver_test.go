package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// runMesosGoV0 runs mesos-go's example of the libprocess drivers, scheduler and
// executor, with flags of its own, until it ends.
func runMesosGoV0(t *testing.T, master string, flags ...string) *cluster.Process {
	t.Helper()
	bin := cluster.MesosGoV0.Bin(t)
	return cluster.Start(t, "v0-scheduler", nil, append([]string{
		filepath.Join(bin, "scheduler"),
		"-master", master, "-address", "127.0.0.1", "-artifactPort", strconv.Itoa(cluster.FreePort(t)),
		"-executor", filepath.Join(bin, "executor"), "-task-count", "5", "-logtostderr",
	}, flags...)...)
}

// finishes expects that all its tasks do.
func finishes(t *testing.T, p *cluster.Process) {
	t.Helper()
	p.WaitLog("Total tasks completed, stopping framework", time.Minute)
	if code := p.Exit(cluster.Patience).ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	for task := range 5 {
		if !strings.Contains(p.Log(), "task "+strconv.Itoa(task+1)+"  is in state  TASK_FINISHED") {
			t.Errorf("task %d did not finish", task+1)
		}
	}
}

// TestMesosGoV0 has mesos-go find the master by its /state.
func TestMesosGoV0(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	finishes(t, runMesosGoV0(t, c.Master.Addr))
}

// secrets writes files into a folder and returns how to name them.
func secrets(t *testing.T, files map[string]string) (path func(name string) string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(name string) string { return filepath.Join(dir, name) }
}

// TestMesosGoV0Authenticates runs it where frameworks and agents have to say who
// they are, and has it find the leader in ZooKeeper. Who knows no secret, or the
// wrong one, is turned away.
func TestMesosGoV0Authenticates(t *testing.T) {
	t.Parallel()
	path := secrets(t, map[string]string{
		"all": `{"credentials": [{"principal": "go", "secret": "kite"}, {"principal": "agent", "secret": "surf"}]}`,
		"one": `{"principal": "agent", "secret": "surf"}`, "bad": "agent kite\n", "right": "kite", "wrong": "surf",
	})
	where := "zk://" + cluster.StartZooKeeper(t, time.Second).Addr + "/mesos"
	master := cluster.StartMaster(t, "--zk="+where, "--authenticate_frameworks", "--authenticate_agents", "--credentials="+path("all"))
	stranger := cluster.NewAgent(t, master.Addr)
	liar := cluster.NewAgent(t, where, "--credential="+path("bad"))
	if liar.Exit(cluster.Patience).ExitCode() != 1 || !strings.Contains(liar.Log(), "refused authentication") {
		t.Errorf("an agent with a wrong secret is not refused:\n%s", liar.Log())
	}
	cluster.StartAgent(t, master, "--master="+where, "--credential=file://"+path("one"))

	finishes(t, runMesosGoV0(t, where, "-mesos_authentication_principal", "go", "-mesos_authentication_secret_file", path("right")))

	refused := runMesosGoV0(t, master.Addr, "-mesos_authentication_principal", "go", "-mesos_authentication_secret_file", path("wrong"))
	master.WaitLog("authentication refused", cluster.Patience)
	refused.Kill9()
	nobody := runMesosGoV0(t, master.Addr)
	nobody.WaitLog("is not authenticated", cluster.Patience)
	if err := cluster.Registered(master, stranger); err == nil {
		t.Error("an agent without a credential is admitted")
	}
	state, err := cluster.Get(master.URL + "/state")
	if err != nil || len(state.JSON().List("frameworks"))+len(state.JSON().List("completed_frameworks")) != 1 {
		t.Errorf("more than one framework was let in: %v %s", err, state.Body)
	}
	if got := state.JSON().List("completed_frameworks")[0].Text("principal"); got != "go" {
		t.Errorf("the framework's principal is %q", got)
	}
}

// TestHTTPCredentials: a framework, an operator and a reader have to say who
// they are, each where it was asked for; a framework is held to its principal.
func TestHTTPCredentials(t *testing.T) {
	t.Parallel()
	path := secrets(t, map[string]string{"all": "p s\nq t\n"})
	master := cluster.StartStandby(t, "--credentials="+path("all"), "--authenticate_http_frameworks", "--http_framework_authenticators=basic",
		"--authenticate_http_readonly", "--authenticate_http_readwrite")
	basic := func(who string) map[string]string { return map[string]string{"Authorization": "Basic " + who} }
	const p, q, wrong = "cDpz", "cTp0", "cDp0"
	cluster.Eventually(t, cluster.Patience, func() error {
		reply, err := cluster.Do("GET", master.URL+"/state", basic(p), "")
		if err == nil && reply.Status != 200 {
			err = fmt.Errorf("it answers %d", reply.Status)
		}
		return err
	})
	subscribe := func(principal string) J {
		info := cluster.Framework("f", "*")
		info["principal"] = principal
		return J{"type": "SUBSCRIBE", "subscribe": J{"framework_info": info}}
	}
	for _, x := range []struct {
		path   string
		header map[string]string
		body   any
		status int
		realm  string
	}{
		{"/state", nil, nil, 401, "mesos-master-readonly"},
		{"/state", basic(wrong), nil, 401, "mesos-master-readonly"},
		{"/state", basic(p), nil, 200, ""},
		{"/health", nil, nil, 200, ""},
		{"/api/v1", nil, J{"type": "GET_HEALTH"}, 401, "mesos-master-readwrite"},
		{"/api/v1", basic(q), J{"type": "GET_HEALTH"}, 200, ""},
		{schedulerAPI, nil, subscribe("p"), 401, "mesos-master-scheduler"},
		{schedulerAPI, basic(wrong), subscribe("p"), 401, "mesos-master-scheduler"},
		{schedulerAPI, basic(q), subscribe("p"), 400, ""},
	} {
		reply, err := cluster.Get(master.URL + x.path)
		if x.body != nil {
			reply, err = cluster.Post(master.URL+x.path, x.header, x.body)
		} else if x.header != nil {
			reply, err = cluster.Do("GET", master.URL+x.path, x.header, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		realm := ""
		if x.realm != "" {
			realm = `Basic realm="` + x.realm + `"`
		}
		if reply.Status != x.status || reply.Header.Get("Www-Authenticate") != realm {
			t.Errorf("%s with %v: %d %q %s, want %d %q", x.path, x.header, reply.Status, reply.Header.Get("Www-Authenticate"), reply.Body, x.status, realm)
		}
	}
}

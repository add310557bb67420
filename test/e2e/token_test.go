package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

const (
	executorKey   = "the key of all executors' tokens"
	tokenVariable = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN="
)

// sign makes a token as whoever knows the key would.
func sign(key, header, payload string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// tokenOf returns the token in the environment of an executor's process.
func tokenOf(t *testing.T, agent *cluster.Node, executor string) string {
	t.Helper()
	var token string
	cluster.Eventually(t, soon, func() error {
		for _, pid := range cluster.Inside(agent.WorkDir) {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			if variables := strings.Split(string(text), "\x00"); err != nil || !slices.Contains(variables, "MESOS_EXECUTOR_ID="+executor) {
				continue
			}
			for variable := range strings.SplitSeq(string(text), "\x00") {
				if value, ok := strings.CutPrefix(variable, tokenVariable); ok {
					token = value
					return nil
				}
			}
		}
		return fmt.Errorf("executor %s has no token", executor)
	})
	return token
}

// guarded is a cluster whose agent asks everybody who they are, with two
// executors in it.
type guarded struct {
	*cluster.Cluster
	agent      *cluster.Node
	scheduler  *cluster.Scheduler
	containers map[string]string // of executors
	tokens     map[string]string
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"key": executorKey, "credentials": "operator secret\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := &guarded{Cluster: cluster.New(t, 0), containers: map[string]string{}, tokens: map[string]string{}}
	g.agent = cluster.StartAgent(t, g.Master, "--jwt_secret_key="+dir+"/key", "--authenticate_http_executors",
		"--http_credentials="+dir+"/credentials", "--authenticate_http_readwrite")
	g.scheduler = cluster.Subscribe(t, g.Master, durable("f"))
	for _, id := range []string{"one", "two"} {
		offer := g.scheduler.AwaitOffer()
		task := cluster.Task(offer, "t-"+id, "")
		delete(task, "command")
		task["executor"] = cluster.Executor(id)
		g.scheduler.Launch(offer, 0, task)
		status := g.scheduler.AwaitState("t-"+id, "TASK_RUNNING")
		g.containers[id], g.tokens[id] = status.Text("container_status.container_id.value"), tokenOf(t, g.agent, id)
	}
	return g
}

func (g *guarded) claims(executor string) string {
	return fmt.Sprintf(`{"fid":%q,"eid":%q,"cid":%q}`, g.scheduler.ID, executor, g.containers[executor])
}

// message makes a call in an executor's name.
func (g *guarded) message(t *testing.T, as, authorization string) cluster.Reply {
	t.Helper()
	return g.call(t, "/api/v1/executor", authorization, J{
		"type": "MESSAGE", "framework_id": J{"value": g.scheduler.ID}, "executor_id": J{"value": as}, "message": J{"data": []byte("forged")},
	})
}

func (g *guarded) call(t *testing.T, path, authorization string, call J) cluster.Reply {
	t.Helper()
	header := map[string]string{}
	if authorization != "" {
		header["Authorization"] = authorization
	}
	reply, err := cluster.Post(g.agent.URL+path, header, call)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

const operator = "Basic b3BlcmF0b3I6c2VjcmV0"

// TestForgedExecutorTokens: nobody speaks in an executor's name but who has the
// token that the agent gave it, whatever the token looks like.
func TestForgedExecutorTokens(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	const header = `{"alg":"HS256","typ":"JWT"}`
	good := g.claims("one")
	for name, test := range map[string]struct {
		authorization string
		status        int
		text          string
	}{
		"its own":                 {"Bearer " + g.tokens["one"], 202, ""},
		"none":                    {"", 401, "WWW-Authenticate: Basic realm=\"mesos-agent-executor\",Bearer realm=\"mesos-agent-executor\"\n"},
		"a neighbour's":           {"Bearer " + g.tokens["two"], 403, "does not contain an 'eid' claim with the executor ID one"},
		"an operator's secret":    {operator, 403, "Authenticated principal 'operator' does not contain an 'fid' claim"},
		"another key":             {"Bearer " + sign("guess", header, good), 401, "Invalid JWT: Token signature does not match"},
		"no signature":            {"Bearer " + strings.TrimRight(sign("", header, good), "-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"), 401, "Invalid JWT"},
		"no algorithm":            {"Bearer " + base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(good)) + ".", 401, "Invalid JWT"},
		"another algorithm":       {"Bearer " + sign(executorKey, `{"alg":"HS512"}`, good), 401, "Invalid JWT"},
		"changed claims":          {"Bearer " + swapPayload(g.tokens["two"], good), 401, "Token signature does not match"},
		"an ended container's":    {"Bearer " + sign(executorKey, header, strings.Replace(good, g.containers["one"], "gone", 1)), 403, "'cid' claim with the correct active ContainerID"},
		"of another framework":    {"Bearer " + sign(executorKey, header, strings.Replace(good, g.scheduler.ID, "f2", 1)), 403, "does not contain an 'fid' claim"},
		"expired":                 {"Bearer " + sign(executorKey, header, `{"exp":1,`+good[1:]), 401, "Token has expired"},
		"no claims":               {"Bearer " + sign(executorKey, header, `{}`), 401, "JWT claims missing"},
		"that must be understood": {"Bearer " + sign(executorKey, `{"alg":"HS256","crit":["x"]}`, good), 401, "'crit' field is unsupported"},
		"nonsense":                {"Bearer x", 401, "Expected 3 components in token, got 1"},
		"another scheme":          {"Digest x", 401, "Scheme 'Digest' unsupported"},
	} {
		reply := g.message(t, "one", test.authorization)
		text := reply.Body + "\nWWW-Authenticate: " + reply.Header.Get("WWW-Authenticate") + "\n"
		if reply.Status != test.status || !strings.Contains(text, test.text) {
			t.Errorf("%s: %d %s, want %d %s", name, reply.Status, text, test.status, test.text)
		}
	}
	subscribe := J{"type": "SUBSCRIBE", "framework_id": J{"value": g.scheduler.ID}, "executor_id": J{"value": "one"}, "subscribe": J{}}
	if reply := g.call(t, "/api/v1/executor", "Bearer "+g.tokens["two"], subscribe); reply.Status != 403 {
		t.Errorf("a neighbour subscribes: %d %s", reply.Status, reply.Body)
	}
	g.agent.Kill9() // the executor comes back with the same token
	g.agent.Restart(t)
	g.scheduler.Call(J{"type": "MESSAGE", "message": J{"agent_id": J{"value": g.agentID(t)}, "executor_id": J{"value": "one"}, "data": []byte("x")}})
	g.scheduler.Await("MESSAGE", nil)
}

func swapPayload(token, payload string) string {
	parts := strings.Split(token, ".")
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + parts[2]
}

func (g *guarded) agentID(t *testing.T) string {
	t.Helper()
	var id string
	cluster.Eventually(t, soon, func() error {
		row, err := cluster.AgentRow(g.Master, g.agent)
		id = row.Text("id")
		return err
	})
	return id
}

// TestForeignContainers: an executor's token opens its own container and those
// in it, and no other.
func TestForeignContainers(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	as := func(executor string) string { return "Bearer " + g.tokens[executor] }
	own := J{"value": "in", "parent": J{"value": g.containers["one"]}}
	launch := J{"type": "LAUNCH_NESTED_CONTAINER", "launch_nested_container": J{"container_id": own, "command": J{"value": "exec sleep 1000"}}}
	if reply := g.call(t, "/api/v1", as("two"), launch); reply.Status != 403 {
		t.Fatalf("launch in a foreign container: %d %s", reply.Status, reply.Body)
	}
	if reply := g.call(t, "/api/v1", as("one"), launch); reply.Status != 200 {
		t.Fatalf("launch in its own: %d %s", reply.Status, reply.Body)
	}
	for kind, more := range map[string]J{
		"ATTACH_CONTAINER_OUTPUT": nil, "WAIT_NESTED_CONTAINER": nil, "WAIT_CONTAINER": nil, "KILL_NESTED_CONTAINER": nil,
		"KILL_CONTAINER": nil, "REMOVE_NESTED_CONTAINER": nil, "REMOVE_CONTAINER": nil,
		"LAUNCH_NESTED_CONTAINER_SESSION": {"command": J{"value": "id"}}, "LAUNCH_CONTAINER": {"command": J{"value": "id"}},
	} {
		of := J{"container_id": own}
		maps.Copy(of, more)
		call := J{"type": kind, strings.ToLower(kind): of}
		for name, authorization := range map[string]string{"a neighbour": as("two"), "a forger": "Bearer " + sign("guess", `{"alg":"HS256"}`, g.claims("one")), "nobody": ""} {
			if reply := g.call(t, "/api/v1", authorization, call); reply.Status != 403 && reply.Status != 401 {
				t.Errorf("%s of %s: %d %s", kind, name, reply.Status, reply.Body)
			}
		}
	}
	for _, call := range []J{
		{"type": "GET_STATE"},
		{"type": "LIST_FILES", "list_files": J{"path": "/slave/log"}},
		{"type": "SET_LOGGING_LEVEL", "set_logging_level": J{"level": 1, "duration": J{"nanoseconds": 1}}},
		{"type": "LAUNCH_CONTAINER", "launch_container": J{"container_id": J{"value": "alone"}, "command": J{"value": "id"}}},
	} {
		if reply := g.call(t, "/api/v1", as("one"), call); reply.Status != 403 {
			t.Errorf("%s with an executor's token: %d %s", call["type"], reply.Status, reply.Body)
		}
	}
	kill := J{"type": "KILL_NESTED_CONTAINER", "kill_nested_container": J{"container_id": own}}
	if reply := g.call(t, "/api/v1", as("one"), kill); reply.Status != 200 {
		t.Errorf("kill its own: %d %s", reply.Status, reply.Body)
	}
	if reply := g.call(t, "/api/v1", operator, J{"type": "GET_HEALTH"}); reply.Status != 200 {
		t.Errorf("the operator: %d %s", reply.Status, reply.Body)
	}
}

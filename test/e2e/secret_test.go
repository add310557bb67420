package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

const (
	word    = "open sesame"
	encoded = "b3BlbiBzZXNhbWU=" // the same in base64, as in JSON
)

func secretValue() J { return J{"type": "VALUE", "value": J{"data": encoded}} }

func secretVariable(name string) J {
	return J{"name": name, "type": "SECRET", "secret": secretValue()}
}

// TestSecrets gives tasks secrets in files and variables. They are told to nobody
// else: not by master and agent, not in their logs, and not in what is written down.
func TestSecrets(t *testing.T) {
	t.Parallel()
	eachRoot(t, secretsOf)
}

func secretsOf(t *testing.T, runtime string) {
	t.Helper()
	c := cluster.New(t, 0)
	agent := withImages(t, c.Master, runtime)
	p := &probing{cluster.Subscribe(t, c.Master, durable("secrets")), agent}
	own := func(offer cluster.Value, id, at string) J {
		task := mounted(cluster.Task(offer, id, `cd $MESOS_SANDBOX; test "$A" = "$(cat `+at+`)" || exit 8; stat -f -c %T `+at+`; (echo x >`+at+`) 2>/dev/null && exit 9
			until [ -e go ]; do sleep 0.05; done; cat `+at+` >mine`),
			J{"container_path": at, "mode": "RO", "source": J{"type": "SECRET", "secret": secretValue()}})
		task["command"].(J)["environment"] = J{"variables": []J{secretVariable("A")}}
		task["command"].(J)["user"] = "nobody"
		task["health_check"] = often(J{"type": "COMMAND", "command": J{
			"value": `test "${#A}" = 11 && test "$B" = "$A"`, "environment": J{"variables": []J{secretVariable("B")}},
		}})
		return task
	}
	offer := p.offer()
	image := own(offer, "image", "/etc/deep/secret")
	image["container"].(J)["mesos"] = boxed("box:1")["mesos"]
	p.s.Accept(offer, 0,
		J{"type": "LAUNCH", "launch": J{"task_infos": []J{own(offer, "plain", "sub/secret"), image}}},
		groupOf(p.s, "pod", own(offer, "inner", "secret")))
	for _, task := range []string{"plain", "image", "inner"} {
		p.health(t, task, true)
	}
	nobodyKnows(t, c.Master, agent)
	// The runtime's own copy of what it has started ends with the container.
	agent.Kill9()
	agent.Restart(t)
	nobodyKnows(t, c.Master, agent)
	for _, task := range []string{"plain", "image"} {
		writeSandbox(t, agent, task, "go", "")
		p.s.AwaitState(task, "TASK_FINISHED")
		if text, err := os.ReadFile(filepath.Join(runOf(t, agent, task), "mine")); err != nil || string(text) != word {
			t.Errorf("%s has %q, %v", task, text, err)
		}
		if err := os.Remove(filepath.Join(runOf(t, agent, task), "mine")); err != nil {
			t.Error(err)
		}
	}
	p.end(t, "inner")
	p.s.Teardown()
	cluster.Eventually(t, soon, func() error { return noFileSays(agent.WorkDir, word) })
	unmounted(t, agent.WorkDir)
}

func nobodyKnows(t *testing.T, master, agent *cluster.Node) {
	t.Helper()
	for _, node := range []*cluster.Node{master, agent} {
		texts := []string{node.Log()}
		for _, call := range []string{"GET_TASKS", "GET_EXECUTORS", "GET_STATE", "GET_CONTAINERS"} {
			if reply, err := cluster.Post(node.URL+"/api/v1", nil, J{"type": call}); err == nil {
				texts = append(texts, reply.Body)
			}
		}
		for _, path := range []string{"/state", "/tasks", "/containers"} {
			if reply, err := cluster.Get(node.URL + path); err == nil {
				texts = append(texts, reply.Body)
			}
		}
		for _, text := range texts {
			for _, form := range []string{word, encoded} {
				if i := strings.Index(text, form); i >= 0 {
					t.Errorf("%s tells it: %s", node.Name, text[max(0, i-200):i])
				}
			}
		}
	}
	if err := noFileSays(filepath.Join(agent.WorkDir, "meta"), word); err != nil {
		t.Error(err)
	}
}

// noFileSays looks for a word in all files of a folder.
func noFileSays(dir, word string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // it is gone, which is as good
		}
		if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte(word)) {
			return &fs.PathError{Op: "read", Path: path, Err: fs.ErrExist}
		}
		return nil
	})
}

// TestSecretRefused: what the agent cannot resolve fails the task, and says why.
func TestSecretRefused(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "t", "true")
	task["command"].(J)["environment"] = J{"variables": []J{{"name": "A", "type": "SECRET", "secret": J{"type": "REFERENCE", "reference": J{"name": "n"}}}}}
	s.Launch(offer, 0, task)
	if got := s.AwaitState("t", "TASK_FAILED").Text("message"); !strings.Contains(got, "Default secret resolver cannot resolve references") {
		t.Errorf("message %q", got)
	}
}

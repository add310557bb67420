package e2e

import (
	"encoding/base64"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestRegistry runs tasks whose images come from registries that want a password:
// the agent's own, a mirror, and one for which the task brings what it takes. While
// a pull goes on, people are told.
func TestRegistry(t *testing.T) {
	t.Parallel()
	eachRoot(t, func(t *testing.T, runtime string) {
		c := cluster.New(t, 0)
		hub, mirror, other := cluster.StartRegistry(t), cluster.StartRegistry(t), cluster.StartRegistry(t)
		config := J{"Cmd": []string{"sh", "-c", "echo hub"}}
		hub.Push(t, "folder/box:1", config)
		mirror.Push(t, "folder/mirrored:1", J{"Cmd": []string{"sh", "-c", "echo mirror"}})
		other.Push(t, "folder/box:1", J{"Cmd": []string{"sh", "-c", "echo other"}})
		agent := withRegistry(t, c.Master, runtime, "http://"+hub.Host, "--docker_registry_mirrors=http://"+mirror.Host,
			"--docker_config="+credentials(hub, mirror))
		s := cluster.Subscribe(t, c.Master, durable("registry"))

		offer := s.AwaitOffer()
		hub.Hold()
		s.Launch(offer, 0, ofImage(offer, "slow", "folder/box:1"))
		cluster.Eventually(t, cluster.Patience, func() error { return saysPulling(cluster.Binary(t), c.Master, "slow", "folder/box:1") })
		hub.Open()
		s.AwaitState("slow", "TASK_FINISHED")
		if got := s.History("slow"); got[0] != "TASK_STARTING" {
			t.Errorf("the framework was told of %q", got)
		}

		offer = s.AwaitOffer()
		s.Launch(offer, 0, ofImage(offer, "mirrored", "folder/mirrored:1"))
		s.AwaitState("mirrored", "TASK_FINISHED")
		offer = s.AwaitOffer()
		stranger, own := ofImage(offer, "stranger", other.Host+"/folder/box:1"), ofImage(offer, "own", other.Host+"/folder/box:1")
		own["container"].(J)["mesos"].(J)["image"].(J)["docker"].(J)["config"] = J{
			"type": "VALUE", "value": J{"data": base64.StdEncoding.EncodeToString([]byte(credentials(other)))},
		}
		s.Launch(offer, 0, stranger)
		if got := s.AwaitState("stranger", "TASK_FAILED").Text("message"); !strings.Contains(got, "UNAUTHORIZED") && !strings.Contains(got, "401") {
			t.Errorf("without a password: %q", got)
		}
		offer = s.AwaitOffer()
		s.Launch(offer, 0, own)
		s.AwaitState("own", "TASK_FINISHED")
		for task, want := range map[string]string{"slow": "hub\n", "mirrored": "mirror\n", "own": "other\n"} {
			if got := sandboxText(t, agent, task, "stdout"); got != want {
				t.Errorf("%s printed %q, want %q; stderr %q", task, got, want, sandboxText(t, agent, task, "stderr"))
			}
		}
		unmounted(t, agent.WorkDir)
	})
}

// ofImage is a task that is what its image says.
func ofImage(offer cluster.Value, id, image string) J {
	task := cluster.Task(offer, id, "")
	task["command"], task["container"] = J{"shell": false}, boxed(image)
	return task
}

// credentials is a Docker configuration with what registries want to hear.
func credentials(all ...*cluster.Registry) string {
	var auths []string
	for _, r := range all {
		auths = append(auths, fmt.Sprintf(`%q: {"username": %q, "password": %q}`, r.Host, cluster.User, cluster.Password))
	}
	return `{"auths": {` + strings.Join(auths, ", ") + `}}`
}

// saysPulling looks whether people are told that a task waits for its image.
func saysPulling(binary string, master *cluster.Node, task, image string) error {
	out, err := exec.Command(binary, "tasks", "--master="+master.Addr).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, task+" ") && strings.Contains(line, "staging") && strings.Contains(line, "Pulling image '"+image+"'") {
			return nil
		}
	}
	return fmt.Errorf("it is not said that %s waits for its image: %s", task, out)
}

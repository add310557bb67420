package compat

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/test/cluster"
)

// The pod and its task that the captured calls are about.
const (
	sampledPod  = "7c45a8c5-9e8b-4937-ab71-753da34a0e57"
	sampledTask = "71bc94c0-025c-4fa3-9ad8-4aaadc51c0be"
)

// TestNestedContainers repeats the captured calls that launch a container in the
// task of a pod, and kill, wait for and remove it: each answer is byte for byte
// the captured one but for ids and the date.
func TestNestedContainers(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	c := cluster.New(t, 1)
	words := podOf(t, c)
	for _, name := range []string{
		"27_launch_nested", "28_launch_nested_again", "29_kill_nested", "30_wait_nested", "31_wait_nested_unknown",
		"32_remove_nested", "33_remove_nested_running", "34_kill_nested_unknown",
	} {
		t.Run(name, func(t *testing.T) {
			request := string(golden.Read(t, "attach/"+name+".request"))
			want := strings.ReplaceAll(words.translate(string(golden.Read(t, "attach/"+name+".response"))), "\r", "")
			head, body, _ := strings.Cut(want, "\n\n")
			reply := resend(t, c.Agents[0].Addr, words.translate(request))
			checkHead(t, head, reply)
			if reply.Body != body {
				t.Errorf("says %q, in Mesos %q", reply.Body, body)
			}
		})
	}
}

// podOf runs a pod of one task and returns the names of its containers.
func podOf(t *testing.T, c *cluster.Cluster) *dictionary {
	t.Helper()
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	s.Accept(offer, 0, cluster.J{"type": "LAUNCH_GROUP", "launch_group": cluster.J{
		"executor": cluster.J{
			"type": "DEFAULT", "executor_id": cluster.J{"value": "pod"}, "framework_id": cluster.J{"value": s.ID},
			"resources": append(cluster.Resources(0.1, 32), cluster.J{"name": "disk", "type": "SCALAR", "scalar": cluster.J{"value": 16}}),
		},
		"task_group": cluster.J{"tasks": []cluster.J{cluster.Task(offer, "t", "exec sleep 1000")}},
	}})
	status := s.AwaitState("t", "TASK_RUNNING")
	words := &dictionary{}
	words.add(sampledTask, status.Text("container_status.container_id.value"))
	words.add(sampledPod, status.Text("container_status.container_id.parent.value"))
	return words
}

// resend sends a captured request, as it is, and reads the answer.
func resend(t *testing.T, addr, request string) cluster.Reply {
	t.Helper()
	parsed, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(parsed.Body)
	if err != nil {
		t.Fatal(err)
	}
	header := map[string]string{}
	for name := range parsed.Header {
		header[name] = parsed.Header.Get(name)
	}
	reply, err := cluster.Do(parsed.Method, "http://"+addr+parsed.RequestURI, header, string(body))
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

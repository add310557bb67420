package cluster

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// executorMark is the environment variable that makes a test binary behave as
// an executor; see ExecutorMain.
const executorMark = "MESETA_TEST_EXECUTOR"

// Executor returns an ExecutorInfo whose command is the running test binary
// itself, with 0.1 CPUs and 32 MB.
func Executor(id string) J {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return J{
		"type": "CUSTOM", "executor_id": J{"value": id}, "name": id,
		"command": J{
			"value":       "exec " + self,
			"environment": J{"variables": []J{{"name": executorMark, "value": "1"}}},
		},
		"resources": Resources(0.1, 32),
	}
}

// ExecutorMain turns the process into an executor and never returns, if it was
// started as the command of an Executor; otherwise it does nothing. A TestMain
// calls it first.
//
// The executor is written by hand on the v1 HTTP API. It reports each task
// TASK_RUNNING, and TASK_FINISHED at once when the task's data is "finish"; with
// "instant" it is TASK_FINISHED and nothing else. A kill makes it TASK_KILLED. A message is sent back with "echo: " before it. It
// survives its agent while MESOS_CHECKPOINT is 1 and repeats what was not
// acknowledged. What it sees it writes to its standard output.
func ExecutorMain() {
	if os.Getenv(executorMark) == "" {
		return
	}
	e := &executor{updates: map[string]J{}, tasks: map[string]any{}}
	for e.stream() {
		if os.Getenv("MESOS_CHECKPOINT") != "1" {
			break
		}
		time.Sleep(50 * time.Millisecond) // until the agent is back
	}
	os.Exit(0)
}

type executor struct {
	mu      sync.Mutex
	updates map[string]J   // by uuid: not acknowledged
	tasks   map[string]any // by id: launched, nothing acknowledged yet
}

// stream subscribes and handles events until the connection ends; it returns
// whether to come back.
func (e *executor) stream() bool {
	response, err := e.post(e.subscribe())
	if err != nil {
		fmt.Println("subscribe:", err)
		return true
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		fmt.Println("subscribe:", response.Status, string(text))
		return true
	}
	for r := bufio.NewReader(response.Body); ; {
		record, err := ReadRecord(r)
		if err != nil {
			fmt.Println("disconnected:", err)
			return true
		}
		event, _ := ParseJSON(record)
		fmt.Println("event", string(record))
		if !e.handle(event) {
			return false
		}
	}
}

func (e *executor) subscribe() J {
	e.mu.Lock()
	defer e.mu.Unlock()
	tasks, updates := []any{}, []J{}
	for _, task := range e.tasks {
		tasks = append(tasks, task)
	}
	for _, update := range e.updates {
		updates = append(updates, update)
	}
	return J{"type": "SUBSCRIBE", "subscribe": J{"unacknowledged_tasks": tasks, "unacknowledged_updates": updates}}
}

// handle acts on one event; it returns false when the executor should end.
func (e *executor) handle(event Value) bool {
	switch event.Text("type") {
	case "LAUNCH":
		e.launch(event.Get("launch.task"))
	case "LAUNCH_GROUP":
		for _, task := range event.List("launch_group.task_group.tasks") {
			e.launch(task)
		}
	case "KILL":
		e.update(event.At("kill.task_id"), "TASK_KILLED")
	case "ACKNOWLEDGED":
		e.mu.Lock()
		delete(e.updates, event.Text("acknowledged.uuid"))
		delete(e.tasks, event.Text("acknowledged.task_id.value"))
		e.mu.Unlock()
	case "MESSAGE":
		data := append([]byte("echo: "), Bytes(event.Text("message.data"))...)
		e.call(J{"type": "MESSAGE", "message": J{"data": data}})
	case "SHUTDOWN":
		return false
	}
	return true
}

func (e *executor) launch(task Value) {
	e.mu.Lock()
	e.tasks[task.Text("task_id.value")] = task.V
	e.mu.Unlock()
	data := string(Bytes(task.Text("data")))
	if data != "instant" {
		e.update(task.At("task_id"), "TASK_RUNNING")
	}
	if data == "instant" || data == "finish" {
		e.update(task.At("task_id"), "TASK_FINISHED")
	}
}

func (e *executor) update(task any, state string) {
	uuid := make([]byte, 16)
	rand.Read(uuid)
	uuid[6], uuid[8] = uuid[6]&0x0f|0x40, uuid[8]&0x3f|0x80 // a random UUID as RFC 4122 has it
	update := J{"status": J{
		"task_id": task, "state": state, "uuid": uuid, "source": "SOURCE_EXECUTOR",
		"timestamp": float64(time.Now().UnixNano()) / 1e9,
	}}
	e.mu.Lock()
	e.updates[Base64(uuid)] = update
	e.mu.Unlock()
	e.call(J{"type": "UPDATE", "update": update})
}

// call sends a call whose answer is only reported: an update that is not
// accepted is repeated with the next SUBSCRIBE.
func (e *executor) call(call J) {
	response, err := e.post(call)
	if err != nil {
		fmt.Println(call["type"], err)
		return
	}
	text, _ := io.ReadAll(response.Body)
	response.Body.Close()
	fmt.Println("call", call["type"], response.Status, string(text))
}

func (e *executor) post(call J) (*http.Response, error) {
	call["framework_id"] = J{"value": os.Getenv("MESOS_FRAMEWORK_ID")}
	call["executor_id"] = J{"value": os.Getenv("MESOS_EXECUTOR_ID")}
	body, err := json.Marshal(call)
	if err != nil {
		return nil, err
	}
	agent := strings.TrimPrefix(os.Getenv("MESOS_AGENT_ENDPOINT"), "http://")
	request, err := http.NewRequest(http.MethodPost, "http://"+agent+"/api/v1/executor", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if token := os.Getenv("MESOS_EXECUTOR_AUTHENTICATION_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return http.DefaultClient.Do(request)
}

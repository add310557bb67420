package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// J is a JSON object being written.
type J = cluster.J

const (
	schedulerAPI = "/api/v1/scheduler"
	alive        = 5               // tasks that a framework has at a time
	patience     = 3 * time.Second // with a master that does not answer
	askEvery     = 2 * time.Second // how tasks are
)

// scheduler keeps a few tasks running. It is a process that may be killed at any
// time: what it has done is in a file, and that is all that it knows when it
// comes back.
type scheduler struct {
	name    string
	dir     string
	masters []string
	file    *os.File

	mu     sync.Mutex
	id     string            // of the framework
	serial int               // of the last task
	agent  map[string]string // of each task that has not ended
	master string            // in use
	stream string
	hangUp func() // ends the stream
}

// schedulerMain is the program of a scheduler's process.
func schedulerMain() {
	s := &scheduler{
		name: os.Getenv("CHAOS_SCHEDULER"), dir: os.Getenv("CHAOS_DIR"),
		masters: strings.Split(os.Getenv("CHAOS_MASTERS"), ","), agent: map[string]string{},
	}
	if err := s.remember(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go s.ask()
	for {
		for _, master := range s.masters {
			err := s.subscribe(master)
			fmt.Fprintf(os.Stderr, "%s: %v\n", master, err)
		}
		<-time.After(100 * time.Millisecond)
	}
}

func (s *scheduler) path(kind string) string { return filepath.Join(s.dir, s.name+"."+kind) }

// remember reads what an earlier life has left, and goes on writing there.
func (s *scheduler) remember() error {
	records, err := readRecords(s.path("history"))
	if err != nil {
		return err
	}
	whole := int64(0)
	for _, r := range records {
		line, _ := json.Marshal(r)
		whole += int64(len(line)) + 1
		switch {
		case r.Kind == "launch":
			s.serial++
			s.agent[r.Task] = r.Agent
		case r.Kind == "update" && ends[r.State]:
			delete(s.agent, r.Task)
		}
	}
	id, err := os.ReadFile(s.path("id"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.id = string(id)
	if s.file, err = os.OpenFile(s.path("history"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return err
	}
	return s.file.Truncate(whole)
}

// note records something, before anything comes of it.
func (s *scheduler) note(r record) {
	line, err := json.Marshal(r)
	if err == nil {
		_, err = s.file.Write(append(line, '\n'))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var web = &http.Client{
	Transport:     &http.Transport{ResponseHeaderTimeout: patience, MaxIdleConnsPerHost: 4},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func post(ctx context.Context, master, stream string, call J) (*http.Response, error) {
	text, err := json.Marshal(call)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+master+schedulerAPI, strings.NewReader(string(text)))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if stream != "" {
		r.Header.Set("Mesos-Stream-Id", stream)
	}
	return web.Do(r)
}

// subscribe serves the stream of a master, if it leads, until that breaks.
func (s *scheduler) subscribe(master string) error {
	info := cluster.Framework(s.name, "*")
	info["checkpoint"], info["failover_timeout"] = true, 604800.0
	call := J{"type": "SUBSCRIBE", "subscribe": J{"framework_info": info}}
	if s.id != "" {
		info["id"], call["framework_id"] = J{"value": s.id}, J{"value": s.id}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	answer, err := post(ctx, master, "", call)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	s.mu.Lock()
	s.master, s.stream, s.hangUp = master, answer.Header.Get("Mesos-Stream-Id"), cancel
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.master = ""
		s.mu.Unlock()
	}()
	watch := time.AfterFunc(time.Minute, cancel)
	defer watch.Stop()
	in := bufio.NewReader(answer.Body)
	for {
		event, err := next(in)
		if err != nil {
			return err
		}
		watch.Reset(20 * time.Second) // heartbeats come every 15
		if err := s.event(event); err != nil {
			return err
		}
	}
}

// next reads one record.
func next(in *bufio.Reader) (cluster.Value, error) {
	head, err := in.ReadString('\n')
	if err != nil {
		return cluster.Value{}, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(head))
	if err != nil {
		return cluster.Value{}, err
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return cluster.Value{}, err
	}
	return cluster.ParseJSON(text)
}

func (s *scheduler) event(e cluster.Value) error {
	switch e.Text("type") {
	case "SUBSCRIBED":
		id := e.Text("subscribed.framework_id.value")
		if s.id == "" {
			if err := os.WriteFile(s.path("id"), []byte(id), 0o600); err != nil {
				return err
			}
		}
		s.mu.Lock()
		s.id = id
		s.mu.Unlock()
	case "OFFERS":
		for _, offer := range e.List("offers.offers") {
			if err := s.offer(offer); err != nil {
				return err
			}
		}
	case "UPDATE":
		return s.update(e.Get("update.status"))
	case "ERROR":
		return errors.New(e.Text("error.message"))
	}
	return nil
}

// call makes a call on the present stream.
func (s *scheduler) call(call J) error {
	s.mu.Lock()
	master, stream, id := s.master, s.stream, s.id
	s.mu.Unlock()
	if master == "" || id == "" {
		return errors.New("not subscribed")
	}
	call["framework_id"] = J{"value": id}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := post(ctx, master, stream, call)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		return errors.New(answer.Status)
	}
	return nil
}

// offer launches tasks if there are not enough, in one of the ways that there are,
// and declines otherwise.
func (s *scheduler) offer(offer cluster.Value) error {
	if _, err := os.Stat(filepath.Join(s.dir, "enough")); err == nil || len(s.agent) >= alive {
		return s.call(J{"type": "DECLINE", "decline": J{"offer_ids": []J{{"value": offer.Text("id.value")}}, "filters": J{"refuse_seconds": 0.5}}})
	}
	how, agent := kind(rand.IntN(int(pod)+1)), offer.Text("agent_id.value")
	var tasks []string
	for range 1 + int(how)/int(pod) { // a pod has two
		s.serial++
		tasks = append(tasks, fmt.Sprintf("%s-%d", s.name, s.serial))
		s.note(record{Kind: "launch", Task: tasks[len(tasks)-1], Agent: agent})
	}
	err := s.call(J{"type": "ACCEPT", "accept": J{
		"offer_ids": []J{{"value": offer.Text("id.value")}}, "filters": J{"refuse_seconds": 0.1},
		"operations": []J{s.launch(offer, how, tasks)},
	}})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, task := range tasks {
		s.agent[task] = agent // only now: who asks before the master has heard of it is told that it is gone
	}
	if err != nil {
		s.master = "" // and on this stream it may yet hear of it
	}
	return err
}

// moment is how long a task runs.
func moment() time.Duration { return time.Duration(200+rand.IntN(2000)) * time.Millisecond }

// update records a status, and answers it if it wants that. Without an answer,
// it comes again; until then the master may be another.
func (s *scheduler) update(status cluster.Value) error {
	task, uuid := status.Text("task_id.value"), status.Text("uuid")
	s.note(record{
		Kind: "update", Task: task, State: status.Text("state"), UUID: uuid, Agent: status.Text("agent_id.value"),
		Why: status.Text("source") + " " + status.Text("reason") + " " + status.Text("message"),
	})
	if ends[status.Text("state")] {
		s.mu.Lock()
		delete(s.agent, task)
		s.mu.Unlock()
	}
	if uuid == "" {
		return nil
	}
	// Whether the answer arrives is not known if the call fails. If it does not,
	// the update comes again, and the leader's books do not become empty.
	s.note(record{Kind: "ack", Task: task, UUID: uuid})
	return s.call(J{"type": "ACKNOWLEDGE", "acknowledge": J{
		"agent_id": J{"value": status.Text("agent_id.value")}, "task_id": J{"value": task}, "uuid": uuid,
	}})
}

// ask asks now and then how the tasks are that should run: a launch may have
// been lost. A master that does not answer is left.
func (s *scheduler) ask() {
	for range time.Tick(askEvery) {
		s.mu.Lock()
		hangUp := s.hangUp
		tasks := []J{}
		for task, agent := range s.agent {
			tasks = append(tasks, J{"task_id": J{"value": task}, "agent_id": J{"value": agent}})
		}
		s.mu.Unlock()
		call := J{"type": "RECONCILE", "reconcile": J{"tasks": tasks}}
		if len(tasks) == 0 {
			call = J{"type": "REVIVE"}
		}
		if err := s.call(call); err != nil && hangUp != nil {
			hangUp()
		}
	}
}

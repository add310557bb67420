package cluster

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Scheduler is a framework written out call by call: it sends what a test tells
// it to and nothing else (no acknowledgement, no decline, no reconnecting), and
// keeps every event in the order in which it came.
type Scheduler struct {
	// Master is the base URL of the master that it talks to.
	Master string
	// ID is the framework's id, from SUBSCRIBED.
	ID string
	// Stream is the value of Mesos-Stream-Id.
	Stream string
	// Header is the head of the answer to SUBSCRIBE.
	Header http.Header

	t      TB
	cancel context.CancelFunc

	mu      sync.Mutex
	grown   chan struct{} // closed and replaced when events or ended changes
	events  []Event
	waiting []Event // of these, the ones that nobody has taken yet
	ended   error   // why the stream is over
}

// Event is one event of the stream.
type Event struct {
	Value
	// Type is the event's type, such as OFFERS.
	Type string
	// Raw is the record as it came.
	Raw []byte
	// Read is when it was read.
	Read time.Time
}

// Framework returns a FrameworkInfo for tests: user root, the roles given and
// the capabilities MULTI_ROLE, PARTITION_AWARE and TASK_KILLING_STATE.
func Framework(name string, roles ...string) J {
	return J{
		"user": "root", "name": name, "roles": roles,
		"capabilities": []J{{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}, {"type": "TASK_KILLING_STATE"}},
	}
}

// Subscribe subscribes a framework and waits for SUBSCRIBED.
func Subscribe(t TB, master *Node, info J) *Scheduler {
	t.Helper()
	call := J{"type": "SUBSCRIBE", "subscribe": J{"framework_info": info}}
	if id, ok := info["id"]; ok {
		call["framework_id"] = id
	}
	s, err := Open(t, master.URL, call)
	if err != nil {
		t.Fatal(err)
	}
	s.ID = s.Await("SUBSCRIBED", nil).Text("subscribed.framework_id.value")
	return s
}

// Open sends a scheduler's SUBSCRIBE call as it is and starts to read the
// stream. An answer other than 200 is an error.
func Open(t TB, master string, call J) (*Scheduler, error) {
	t.Helper()
	s, err := OpenAt(t, master+"/api/v1/scheduler", call)
	if err == nil {
		s.Master = master
	}
	return s, err
}

// OpenAt reads any event stream, such as an operator's.
func OpenAt(t TB, url string, call J) (*Scheduler, error) {
	t.Helper()
	body, err := json.Marshal(call)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	// A transport of its own: closing the stream closes its connection.
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		return nil, fmt.Errorf("SUBSCRIBE: %s: %s", response.Status, text)
	}
	s := &Scheduler{
		Stream: response.Header.Get("Mesos-Stream-Id"), Header: response.Header,
		t: t, cancel: cancel, grown: make(chan struct{}),
	}
	go s.read(response.Body)
	return s, nil
}

func (s *Scheduler) read(body io.ReadCloser) {
	defer body.Close()
	r := bufio.NewReader(body)
	for {
		record, err := ReadRecord(r)
		var value Value
		if err == nil {
			value, err = ParseJSON(record)
		}
		s.mu.Lock()
		if err != nil {
			s.ended = err
		} else {
			event := Event{value, value.Text("type"), record, time.Now()}
			s.events, s.waiting = append(s.events, event), append(s.waiting, event)
		}
		close(s.grown)
		s.grown = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Close drops the connection, as a scheduler that dies does.
func (s *Scheduler) Close() { s.cancel() }

// Events returns all events so far.
func (s *Scheduler) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clip(s.events)
}

// Waiting returns the events of a type that nobody has taken yet.
func (s *Scheduler) Waiting(kind string) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []Event
	for _, event := range s.waiting {
		if event.Type == kind {
			events = append(events, event)
		}
	}
	return events
}

// Await returns the first event of a type that match accepts and that was not
// returned before; match may be nil. Events of other kinds stay for later calls.
func (s *Scheduler) Await(kind string, match func(Event) bool) Event {
	s.t.Helper()
	event, err := s.Poll(kind, match, Patience)
	if err != nil {
		s.t.Fatalf("%v; the events were:%s", err, s.history())
	}
	return event
}

// Poll is Await with a limit of its own and an error in place of a failure.
func (s *Scheduler) Poll(kind string, match func(Event) bool, within time.Duration) (Event, error) {
	deadline := time.After(within)
	for {
		s.mu.Lock()
		at := slices.IndexFunc(s.waiting, func(e Event) bool { return e.Type == kind && (match == nil || match(e)) })
		if at >= 0 {
			event := s.waiting[at]
			s.waiting = slices.Delete(s.waiting, at, at+1)
			s.mu.Unlock()
			return event, nil
		}
		grown, ended := s.grown, s.ended
		s.mu.Unlock()
		if ended != nil {
			return Event{}, fmt.Errorf("the stream ended before %s: %w", kind, ended)
		}
		select {
		case <-grown:
		case <-deadline:
			return Event{}, fmt.Errorf("no %s within %v", kind, within)
		}
	}
}

// Next returns the first event that was not returned before, whatever it is,
// once it is there.
func (s *Scheduler) Next(within time.Duration) (Event, error) {
	deadline := time.After(within)
	for {
		s.mu.Lock()
		if len(s.waiting) > 0 {
			event := s.waiting[0]
			s.waiting = s.waiting[1:]
			s.mu.Unlock()
			return event, nil
		}
		grown, ended := s.grown, s.ended
		s.mu.Unlock()
		if ended != nil {
			return Event{}, fmt.Errorf("the stream has ended: %w", ended)
		}
		select {
		case <-grown:
		case <-deadline:
			return Event{}, errors.New("no event")
		}
	}
}

// AwaitEnd waits until the master has closed the stream.
func (s *Scheduler) AwaitEnd() {
	s.t.Helper()
	Eventually(s.t, Patience, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ended == nil {
			return errors.New("the stream is still open")
		}
		return nil
	})
}

func (s *Scheduler) history() string {
	var text strings.Builder
	for _, event := range s.Events() {
		fmt.Fprintf(&text, "\n  %s", event.Raw)
	}
	return text.String()
}

// Send makes a call, with the framework's id and stream id, and returns the
// answer. A field given in call wins over what would be filled in.
func (s *Scheduler) Send(call J) Reply {
	s.t.Helper()
	reply, err := Post(s.Master+"/api/v1/scheduler", map[string]string{"Mesos-Stream-Id": s.Stream}, s.complete(call))
	if err != nil {
		s.t.Fatalf("%v: %v", call["type"], err)
	}
	return reply
}

// Call makes a call that must be answered with 202.
func (s *Scheduler) Call(call J) {
	s.t.Helper()
	if reply := s.Send(call); reply.Status != http.StatusAccepted {
		s.t.Fatalf("%v: %d %s", call["type"], reply.Status, reply.Body)
	}
}

func (s *Scheduler) complete(call J) J {
	whole := J{"framework_id": J{"value": s.ID}}
	maps.Copy(whole, call)
	return whole
}

// AwaitOffer waits for an offer that was not rescinded since and returns it.
// Other offers of the same event are declined, so that a test can speak of one.
func (s *Scheduler) AwaitOffer() Value {
	s.t.Helper()
	offers := s.Await("OFFERS", s.stands).List("offers.offers")
	for _, other := range offers[1:] {
		s.Decline(other, 0)
	}
	return offers[0]
}

// stands says whether an event's first offer has not been rescinded.
func (s *Scheduler) stands(offers Event) bool {
	id := offers.List("offers.offers")[0].Text("id.value")
	return !slices.ContainsFunc(s.waiting, func(e Event) bool {
		return e.Type == "RESCIND" && e.Text("rescind.offer_id.value") == id
	})
}

// Decline gives an offer back for the seconds given.
func (s *Scheduler) Decline(offer Value, refuseSeconds float64) {
	s.t.Helper()
	s.Call(J{"type": "DECLINE", "decline": J{
		"offer_ids": []any{offer.At("id")}, "filters": J{"refuse_seconds": refuseSeconds},
	}})
}

// Launch accepts an offer with one LAUNCH of the tasks, and refuses what is left
// over for refuseSeconds.
func (s *Scheduler) Launch(offer Value, refuseSeconds float64, tasks ...J) {
	s.t.Helper()
	s.Accept(offer, refuseSeconds, J{"type": "LAUNCH", "launch": J{"task_infos": tasks}})
}

// Accept accepts an offer with the operations.
func (s *Scheduler) Accept(offer Value, refuseSeconds float64, operations ...J) {
	s.t.Helper()
	s.Call(J{"type": "ACCEPT", "accept": J{
		"offer_ids": []any{offer.At("id")}, "operations": operations,
		"filters": J{"refuse_seconds": refuseSeconds},
	}})
}

// Task returns a TaskInfo for a shell command, with 0.1 CPUs and 32 MB, on the
// agent that made the offer.
func Task(offer Value, id, command string) J {
	return J{
		"name": id, "task_id": J{"value": id}, "agent_id": offer.At("agent_id"),
		"resources": Resources(0.1, 32), "command": J{"value": command},
	}
}

// Resources returns CPUs and megabytes of memory as resources.
func Resources(cpus, mem float64) []J {
	return []J{
		{"name": "cpus", "type": "SCALAR", "scalar": J{"value": cpus}},
		{"name": "mem", "type": "SCALAR", "scalar": J{"value": mem}},
	}
}

// AwaitUpdate waits for a status update of the task, acknowledges it when it
// asks for that, and returns the status.
func (s *Scheduler) AwaitUpdate(task string) Value {
	s.t.Helper()
	status := s.Await("UPDATE", func(e Event) bool {
		return e.Text("update.status.task_id.value") == task
	}).Get("update.status")
	s.Acknowledge(status)
	return status
}

// AwaitState waits until the task is said to be in the state, acknowledging all
// updates on the way, and returns that status.
func (s *Scheduler) AwaitState(task, state string) Value {
	s.t.Helper()
	for {
		status := s.AwaitUpdate(task)
		if status.Text("state") == state {
			return status
		}
		if terminal(status.Text("state")) {
			s.t.Fatalf("%s is %v and will not be %s", task, status, state)
		}
	}
}

// Acknowledge acknowledges a status update that carries a uuid.
func (s *Scheduler) Acknowledge(status Value) {
	s.t.Helper()
	if status.At("uuid") == nil {
		return
	}
	s.Call(J{"type": "ACKNOWLEDGE", "acknowledge": J{
		"agent_id": status.At("agent_id"), "task_id": status.At("task_id"), "uuid": status.At("uuid"),
	}})
}

// Kill asks for a task to be killed.
func (s *Scheduler) Kill(task string) {
	s.t.Helper()
	s.Call(J{"type": "KILL", "kill": J{"task_id": J{"value": task}}})
}

// Reconcile asks for the state of the tasks, of all when none is named.
func (s *Scheduler) Reconcile(tasks ...string) {
	s.t.Helper()
	list := []J{}
	for _, task := range tasks {
		list = append(list, J{"task_id": J{"value": task}})
	}
	s.Call(J{"type": "RECONCILE", "reconcile": J{"tasks": list}})
}

// Teardown ends the framework.
func (s *Scheduler) Teardown() {
	s.t.Helper()
	s.Call(J{"type": "TEARDOWN"})
}

// History returns the states that the task's updates have gone through, one
// entry for each update with a uuid not seen before.
func (s *Scheduler) History(task string) []string {
	var states []string
	seen := map[string]bool{}
	for _, event := range s.Events() {
		status := event.Get("update.status")
		uuid := status.Text("uuid")
		if status.Text("task_id.value") != task || uuid != "" && seen[uuid] {
			continue
		}
		seen[uuid] = true
		states = append(states, status.Text("state"))
	}
	return states
}

func terminal(state string) bool {
	switch state {
	case "TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST",
		"TASK_DROPPED", "TASK_GONE", "TASK_GONE_BY_OPERATOR":
		return true
	}
	return false
}

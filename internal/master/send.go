package master

import (
	"fmt"
	"log/slog"
	"slices"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
)

func (m *Master) emit(msg Message) { m.out.Messages = append(m.out.Messages, msg) }

func (m *Master) tell(e Event) { m.out.Events = append(m.out.Events, e) }

// reply answers a request; err is nil for success.
func (m *Master) reply(request RequestID, err *refusal.Error) {
	delete(m.undertaken, request)
	if request != 0 {
		m.emit(Reply{Request: request, Err: err})
	}
}

// send sends a message from the master to an agent, unless another one is at its
// address by now: that would take it for its own.
func (m *Master) send(a *agent, msg proto.Message) {
	if m.agentAt[a.row.PID] != a {
		m.log.Warn("another agent is at the address", slog.String("agent_id", string(a.id)), slog.String("pid", string(a.row.PID)))
		return
	}
	m.emit(ToProcess{From: "master", To: a.row.PID, Message: msg})
}

// sendTo sends a message from the master to a process that need not be an
// agent of ours.
func (m *Master) sendTo(to ids.UPID, msg proto.Message) {
	m.emit(ToProcess{From: "master", To: to, Message: msg})
}

func (m *Master) shutdown(to ids.UPID, why string) {
	m.sendTo(to, &messages.ShutdownMessage{Message: &why})
}

// notify sends an event to a framework, if it is connected.
func (m *Master) notify(f *framework, e *schedulerpb.Event, pids ...ids.UPID) {
	if !f.row.Connected {
		return
	}
	m.editFramework(f).Counters.Events[e.GetType()]++
	m.emit(ToFramework{Peer: f.row.Peer, Framework: f.id, Event: e, AgentPIDs: pids})
}

// notifyUpdate sends a framework that is connected a status from an agent.
func (m *Master) notifyUpdate(f *framework, s *mesos.TaskStatus, agent ids.UPID, latest *mesos.TaskState) {
	m.editFramework(f).Counters.Events[schedulerpb.Event_UPDATE]++
	m.emit(ToFramework{Peer: f.row.Peer, Framework: f.id, Event: updateEvent(s), AgentPIDs: []ids.UPID{agent}, Latest: latest})
}

func errorEvent(text string) *schedulerpb.Event {
	return &schedulerpb.Event{
		Type:  schedulerpb.Event_ERROR.Enum(),
		Error: &schedulerpb.Event_Error{Message: &text},
	}
}

// link watches the address of a process that has become ours.
func (m *Master) link(pid ids.UPID) {
	at := pid.Address()
	if !slices.Contains(m.processes[at], pid) {
		m.processes[at] = append(m.processes[at], pid)
	}
	m.emit(Link{pid})
}

// unlink ends the watch, unless something else of ours is at the address.
func (m *Master) unlink(pid ids.UPID) {
	at := pid.Address()
	left := slices.DeleteFunc(m.processes[at], func(p ids.UPID) bool { return p == pid })
	if len(left) > 0 {
		m.processes[at] = left
		return
	}
	delete(m.processes, at)
	m.emit(Unlink{pid})
}

// exited disconnects every agent and driver at an address.
func (m *Master) exited(address string) {
	for _, pid := range slices.Clone(m.processes[address]) {
		if f := m.frameworkAt[pid]; f != nil && f.row.Connected {
			m.notify(f, errorEvent("Framework disconnected"))
			m.disconnectFramework(f)
		}
		if a := m.agentAt[pid]; a != nil && a.row.Connected {
			m.disconnectAgent(a)
		}
	}
}

// secs is the time as Mesos writes it into messages.
func (m *Master) secs() *float64 { return new(float64(m.now.UnixNano()) / 1e9) }

// unwanted notes a message that is dropped, and why.
func (m *Master) unwanted(msg proto.Message, from ids.UPID, why string) {
	m.counters.DroppedMessages++
	m.log.Warn("dropping message", slog.String("type", fmt.Sprintf("%T", msg)), slog.String("from", string(from)), slog.String("reason", why))
}

func agentID(id ids.AgentID) *mesos.AgentID { return &mesos.AgentID{Value: new(string(id))} }

func frameworkID(id ids.FrameworkID) *mesos.FrameworkID {
	return &mesos.FrameworkID{Value: new(string(id))}
}

func taskID(id ids.TaskID) *mesos.TaskID { return &mesos.TaskID{Value: new(string(id))} }

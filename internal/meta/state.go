package meta

import (
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
)

// State is all that is remembered. The zero value is that of a fresh agent.
type State struct {
	Boot       string                              // of the kernel under which it was written
	Agent      *mesos.AgentInfo                    // nil: never registered, or forgotten
	Old        []ids.AgentID                       // agents that this one was before, of which folders are left
	Resources  *messages.ResourceState             // nil: none were ever changed
	Drain      *mesos.DrainConfig                  // nil: not draining
	Frameworks map[ids.FrameworkID]*FrameworkState // those with executors to recover or to collect
	Strays     []ids.FrameworkID                   // frameworks of which nothing but sandboxes is left
	Errors     int                                 // records that could not be read and were left out
}

// FrameworkState is a framework remembered, with its executors.
type FrameworkState struct {
	Info      *mesos.FrameworkInfo
	PID       string
	Executors map[ids.ExecutorID]*ExecutorState
}

// ExecutorState is an executor remembered, with its runs. Only the latest run
// can be alive.
type ExecutorState struct {
	Info      *mesos.ExecutorInfo
	Generated bool
	Latest    ids.ContainerID
	Runs      map[ids.ContainerID]*RunState
}

// RunState is one run of an executor.
type RunState struct {
	ForkedPID int      // 0: not started, as far as is known
	HTTP      bool     // subscribed over HTTP
	Foreign   bool     // launched by an agent of Apache Mesos's; not remembered, but seen by what runs
	Driver    ids.UPID // subscribed over libprocess
	Ended     bool
	Tasks     map[ids.TaskID]*TaskState
}

// TaskState is one task of a run and its history.
type TaskState struct {
	Info          *mesos.Task
	MaxCompletion time.Duration            // 0: none
	Check         *mesos.CheckInfo         // nil: none
	Group         ids.TaskID               // the first task of its group; "": it came alone
	Updates       []*messages.StatusUpdate // in the order of their arrival
	Acks          [][]byte                 // the uuids that the framework has acknowledged, in order
}

// Apply adds one record. A record about something that was never begun is
// ignored, as it is when reading a tree that lost its beginning.
func (s *State) Apply(r Record) {
	switch r := r.(type) {
	case Boot:
		s.Boot = r.ID
	case Agent:
		s.applyAgent(r)
	case Forget:
		s.applyForget()
	case Framework:
		s.applyFramework(r)
	case Executor:
		s.applyExecutor(r)
	case Resources:
		s.Resources = r.State
	case Drain:
		s.Drain = r.Config
	default:
		s.applyToRun(r)
	}
}

func (s *State) applyAgent(r Agent) {
	if s.Agent.GetId().GetValue() != r.Info.GetId().GetValue() {
		s.Frameworks = nil
	}
	s.Agent = r.Info
}

func (s *State) applyForget() {
	if id := s.Agent.GetId().GetValue(); id != "" {
		s.Old = append(s.Old, ids.AgentID(id))
	}
	s.Agent, s.Frameworks = nil, nil
}

func (s *State) applyFramework(r Framework) {
	if s.Frameworks == nil {
		s.Frameworks = map[ids.FrameworkID]*FrameworkState{}
	}
	id := ids.FrameworkID(r.Info.GetId().GetValue())
	f := s.Frameworks[id]
	if f == nil {
		f = &FrameworkState{Executors: map[ids.ExecutorID]*ExecutorState{}}
		s.Frameworks[id] = f
	}
	f.Info, f.PID = r.Info, r.PID
}

func (s *State) applyExecutor(r Executor) {
	f := s.Frameworks[r.Run.Framework]
	if f == nil {
		return
	}
	e := f.Executors[r.Run.Executor]
	if e == nil {
		e = &ExecutorState{Runs: map[ids.ContainerID]*RunState{}}
		f.Executors[r.Run.Executor] = e
	}
	e.Info, e.Generated, e.Latest = r.Info, r.Generated, r.Run.Container
	if e.Runs[e.Latest] == nil {
		e.Runs[e.Latest] = &RunState{Tasks: map[ids.TaskID]*TaskState{}}
	}
}

func (s *State) applyToRun(r Record) {
	switch r := r.(type) {
	case ForkedPID:
		if run := s.Run(r.Run); run != nil {
			run.ForkedPID = r.PID
		}
	case Connected:
		if run := s.Run(r.Run); run != nil {
			run.Driver, run.HTTP = r.Driver, r.Driver == ""
		}
	case Task:
		if run := s.Run(r.Run); run != nil {
			run.Tasks[ids.TaskID(r.Task.GetTaskId().GetValue())] = &TaskState{
				Info: r.Task, MaxCompletion: r.MaxCompletion, Check: r.Check, Group: r.Group,
			}
		}
	case Update:
		if run := s.Run(r.Run); run != nil && run.Tasks[r.Task] != nil {
			run.Tasks[r.Task].Apply(r.Record)
		}
	case Ended:
		if run := s.Run(r.Run); run != nil {
			run.Ended = true
		}
	}
}

// Run returns the state of a run, or nil.
func (s *State) Run(r Run) *RunState {
	f := s.Frameworks[r.Framework]
	if f == nil || f.Executors[r.Executor] == nil {
		return nil
	}
	return f.Executors[r.Executor].Runs[r.Container]
}

// Apply adds one record of the task's history.
func (t *TaskState) Apply(r *messages.StatusUpdateRecord) {
	if r.GetType() == messages.StatusUpdateRecord_ACK {
		t.Acks = append(t.Acks, r.GetUuid())
		return
	}
	t.Updates = append(t.Updates, r.GetUpdate())
}

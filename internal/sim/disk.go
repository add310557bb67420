package sim

import (
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/meta"
)

// A disk remembers an agent's records, in order, some time after it was told.
// What depends on them is done then. A crash loses what was not written yet: of
// a write that was under way, the end.
type disk struct {
	a       *agentNode
	records []meta.Record
	queue   []agent.Effects
	writing []meta.Record
	busy    bool
}

// add has effects carried out when their records, and those before, are safe.
func (d *disk) add(e agent.Effects) {
	if len(e.Persist)+len(e.Deferred)+len(e.Containers) > 0 {
		d.queue = append(d.queue, e)
		d.next()
	}
}

// next writes what has gathered.
func (d *disk) next() {
	if d.busy || len(d.queue) == 0 {
		return
	}
	d.busy = true
	round := d.queue
	d.queue = nil
	for _, e := range round {
		d.writing = append(d.writing, e.Persist...)
	}
	life := d.a.life
	d.a.w.after(d.latency(), func() {
		if d.a.life != life {
			return
		}
		d.records = append(d.records, d.writing...)
		d.writing, d.busy = nil, false
		for _, e := range round {
			d.carryOut(e)
		}
		d.next()
	})
}

func (d *disk) latency() time.Duration {
	switch {
	case len(d.writing) == 0:
		return 0
	case d.a.w.suffers(SlowDisk, 0.1):
		return d.a.w.between("disks", 0, 4*time.Second)
	}
	return d.a.w.between("disks", 100*time.Microsecond, 5*time.Millisecond)
}

func (d *disk) carryOut(e agent.Effects) {
	for _, m := range e.Deferred {
		d.a.send(m)
	}
	for _, c := range e.Containers {
		d.a.act(c)
	}
}

// crash keeps some of what was being written.
func (d *disk) crash() {
	if n := len(d.writing); n > 0 {
		d.records = append(d.records, d.writing[:d.a.w.rand("disks").IntN(n+1)]...)
	}
	d.queue, d.writing, d.busy = nil, nil, false
}

// clear forgets everything.
func (d *disk) clear() { d.records, d.writing = nil, nil }

// state returns what is remembered. What the agent does to it does not change
// the disk.
func (d *disk) state() *meta.State {
	s := &meta.State{}
	for _, r := range d.records {
		s.Apply(cloned(r))
	}
	return s
}

// cloned returns a copy of what agents may change in a record.
func cloned(r meta.Record) meta.Record {
	switch r := r.(type) {
	case meta.Agent:
		return meta.Agent{Info: proto.CloneOf(r.Info)}
	case meta.Executor:
		r.Info = proto.CloneOf[*mesos.ExecutorInfo](r.Info)
		return r
	case meta.Task:
		r.Task = proto.CloneOf[*mesos.Task](r.Task)
		return r
	case meta.Update:
		r.Record = proto.CloneOf[*messages.StatusUpdateRecord](r.Record)
		return r
	}
	return r
}

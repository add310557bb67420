package master

import mesos "github.com/meseta-project/meseta/api/mesos/v1"

// Operations are all of one framework's that are on the books. They are found by the
// framework's ID, since they may be there when it is not: their agents are back
// before it is, or it is over.
type operations struct {
	byAge chain[operation]
	named map[string]chain[operation] // by the IDs that the framework gave them, seldom one twice
}

func (o *operation) byAge() *neighbours[operation]     { return &o.age }
func (o *operation) onAgent() *neighbours[operation]   { return &o.here }
func (o *operation) namesakes() *neighbours[operation] { return &o.name }

// enlistOperation puts an operation, younger than all others, among its framework's.
func (m *Master) enlistOperation(o *operation) {
	ops := m.operations[o.row.Framework]
	if ops == nil {
		ops = &operations{named: map[string]chain[operation]{}}
		m.operations[o.row.Framework] = ops
	}
	ops.byAge.add(o, (*operation).byAge)
	if id := o.row.Info.GetId(); id != nil {
		same := ops.named[id.GetValue()]
		same.add(o, (*operation).namesakes)
		ops.named[id.GetValue()] = same
	}
}

// delistOperation undoes enlistOperation. An answer goes on with the next.
func (m *Master) delistOperation(o *operation) {
	if f := m.frameworks[o.row.Framework]; f != nil {
		f.answers.operations.all.pass(o, (*operation).byAge)
	}
	ops := m.operations[o.row.Framework]
	ops.byAge.remove(o, (*operation).byAge)
	if ops.byAge.oldest == nil {
		delete(m.operations, o.row.Framework)
	}
	id := o.row.Info.GetId()
	if id == nil {
		return
	}
	same := ops.named[id.GetValue()]
	if same.remove(o, (*operation).namesakes); same.oldest != nil {
		ops.named[id.GetValue()] = same
	} else {
		delete(ops.named, id.GetValue())
	}
}

// operationsOf returns all operations of a framework.
func (m *Master) operationsOf(f *framework) operations {
	if ops := m.operations[f.id]; ops != nil {
		return *ops
	}
	return operations{}
}

// operationOf returns the operation that a framework gave an ID, or nil: of several
// the oldest.
func (m *Master) operationOf(f *framework, id *mesos.OperationID) *operation {
	return m.operationsOf(f).named[id.GetValue()].oldest
}

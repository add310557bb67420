// Package master decides what a Mesos master decides: which agents and
// frameworks belong to the cluster, to whom what is offered, which tasks are
// launched, and what is told to whom about them. It does nothing itself: it is
// told the time and an [Input], and answers with [Effects] that a shell carries
// out.
//
//	          Step(now, Input)                 Effects()
//	shell ───────────────────────▶  Master  ──────────────▶ shell
//	 │  HTTP calls, messages,         │  store this, then say Committed
//	 │  broken connections,           │  send these, in order
//	 │  Committed, Tick               │  tell operators this
//	 │                                │  wake me then
//	 └── readers ◀── Snapshot() ◀─────┘
//
// What must be durable before anybody hears of it (an agent's admission, its
// removal) is kept in [Master.waiting] as data, by the number of the batch that
// makes it so; when [Committed] is stepped the world is looked up afresh. The
// files are named by the noun or the call they are about:
//
//	input.go effects.go snapshot.go   what goes in, what comes out
//	agent*.go framework.go offer.go task.go   the nouns and their states
//	subscribe.go accept*.go status.go kill.go …   the calls
//	recover.go   a new leader; deadline.go   everything that happens by itself
//	check.go     what must hold after every step
//
// A Master is for one goroutine at a time. A [Snapshot] may be read by any.
package master

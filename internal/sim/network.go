package sim

import (
	"fmt"
	"slices"
	"time"
)

// A pipe carries messages from one node to another, in order, until it is cut:
// what is under way then is lost. So do TCP connections. A pipe whose way is
// blocked holds what it is given.
type pipe struct {
	from, to string
	number   uint64    // of all
	way      string    // its name
	last     time.Time // when the message that was sent last arrives
	stalled  []func()
	cut      bool
	drained  time.Time // nothing arrives after that, if set: the sender is dead
}

// A route is a way from a node to another.
type route struct{ from, to string }

// network is all pipes, and which ways are blocked.
type network struct {
	w       *world
	links   map[route]*pipe // libprocess: one for each way
	watched map[route]bool  // whether the sender wants to be told of a link's end
	blocked map[route]int   // number of the partition that blocks the way
	parting []*pipe         // that nobody uses any more, with what they still hold
	streams []*stream       // open ones, in the order of their opening
	nodes   map[string]node // by name
	names   []string        // in the order of their making
	cuts    int
	opened  uint64 // links, ever
}

// A node is something that others reach.
type node interface {
	// up reports whether a process listens.
	up() bool
	// exited tells the process that the link to another node broke.
	exited(to string)
}

func newNetwork(w *world) *network {
	return &network{
		w: w, links: map[route]*pipe{}, watched: map[route]bool{}, blocked: map[route]int{}, nodes: map[string]node{},
	}
}

func (n *network) add(name string, x node) {
	n.nodes[name] = x
	n.names = append(n.names, name)
}

// delay draws how long a message is under way.
func (n *network) delay() time.Duration {
	if n.w.suffers(SlowNetwork, 0.03) {
		return n.w.between("delays", 100*time.Millisecond, 8*time.Second)
	}
	return n.w.between("delays", 100*time.Microsecond, 3*time.Millisecond)
}

// send has a message arrive at the other end of a pipe, some time after those
// before it, unless the pipe is cut.
func (n *network) send(p *pipe, arrive func()) {
	if n.blocked[route{p.from, p.to}] != 0 {
		p.stalled = append(p.stalled, arrive)
		return
	}
	at := n.w.now.Add(n.delay())
	if at.Before(p.last) {
		at = p.last
	}
	p.last = at
	n.w.after(at.Sub(n.w.now), func() {
		if !p.cut && (p.drained.IsZero() || n.w.now.Before(p.drained)) {
			arrive()
		}
	})
}

// post sends a libprocess message: over the link that there is, or a new one.
// Nobody is told if it is lost, but by the end of a link that is watched.
func (n *network) post(from, to string, arrive func(*pipe)) {
	p := n.link(from, to)
	n.send(p, func() {
		if !n.nodes[to].up() {
			n.breakLink(from, to)
			return
		}
		arrive(p)
	})
}

func (n *network) link(from, to string) *pipe {
	p := n.links[route{from, to}]
	if p == nil {
		n.opened++
		p = &pipe{from: from, to: to, number: n.opened, way: fmt.Sprintf("%s-%s %d", from, to, n.opened)}
		n.links[route{from, to}] = p
	}
	return p
}

// watch has a node be told when its link to another ends, or cannot be made.
func (n *network) watch(from, to string) {
	n.watched[route{from, to}] = true
	n.post(from, to, func(*pipe) {})
}

// unwatch ends the interest in a link. It is closed once it was idle for some time;
// what it holds then, as its way is blocked, arrives yet when the way is free.
func (n *network) unwatch(from, to string) {
	r := route{from, to}
	delete(n.watched, r)
	p := n.links[r]
	if p == nil {
		return
	}
	n.w.after(idleTimeout, func() {
		if n.links[r] == p && !n.watched[r] {
			delete(n.links, r)
			n.parting = append(n.parting, p)
		}
	})
}

const idleTimeout = 5 * time.Second // of a link

// breakLink ends a link, with what is under way on it.
func (n *network) breakLink(from, to string) {
	r := route{from, to}
	if p := n.links[r]; p != nil {
		p.cut = true
		delete(n.links, r)
	}
	if !n.watched[r] {
		return
	}
	delete(n.watched, r)
	x := n.nodes[from]
	n.w.after(n.w.between("delays", 0, 50*time.Millisecond), func() { x.exited(to) })
}

// drop ends a link that its owner wants no more, with what waits for it. What is
// under way may arrive yet, if soon: it is not sent again.
func (n *network) drop(from, to string) {
	r := route{from, to}
	if p := n.links[r]; p != nil {
		p.stalled, p.drained = nil, n.w.now.Add(20*time.Millisecond)
		delete(n.links, r)
	}
	delete(n.watched, r)
}

// down ends all that a node whose process has died was part of. Some of what it
// had sent may arrive yet, if soon.
func (n *network) down(name string) {
	for _, other := range n.names {
		if p := n.links[route{name, other}]; p != nil && n.w.once("delays", 0.5) {
			p.drained = n.w.now.Add(20 * time.Millisecond)
			delete(n.links, route{name, other})
		}
		delete(n.watched, route{name, other})
		n.breakLink(name, other)
		n.breakLink(other, name)
		n.parted(name, other, func(*pipe) {})
		n.parted(other, name, func(*pipe) {})
	}
}

// block stops everything on the way from one node to another. If it lasts, the
// connections break.
func (n *network) block(from, to string) {
	n.cuts++
	cut := n.cuts
	n.blocked[route{from, to}] = cut
	n.w.after(n.w.between("partition", 3*time.Second, 90*time.Second), func() {
		if n.blocked[route{from, to}] == cut {
			n.w.note("net   %s -> %s timed out", from, to)
			n.breakLink(from, to)
			n.breakLink(to, from)
			n.parted(from, to, func(*pipe) {})
			n.breakStreams(from, to)
		}
	})
}

// unblock lets what was held arrive.
func (n *network) unblock(from, to string) {
	delete(n.blocked, route{from, to})
	if p := n.links[route{from, to}]; p != nil {
		n.release(p)
	}
	n.parted(from, to, func(p *pipe) {
		p.last = n.w.now.Add(n.w.between("parting", 0, 10*time.Second)) // it is tried again more and more seldom
		n.release(p)
	})
	for _, s := range n.streams {
		for _, p := range []*pipe{s.down, s.up} {
			if p.from == from && p.to == to {
				n.release(p)
			}
		}
	}
}

// parted takes out the links from one node to another that nobody uses any more.
func (n *network) parted(from, to string, do func(*pipe)) {
	n.parting = slices.DeleteFunc(n.parting, func(p *pipe) bool {
		if p.from != from || p.to != to {
			return false
		}
		do(p)
		return true
	})
}

func (n *network) release(p *pipe) {
	held := p.stalled
	p.stalled = nil
	for _, arrive := range held {
		n.send(p, arrive)
	}
}

// breakStreams breaks the event streams between two nodes.
func (n *network) breakStreams(a, b string) {
	for _, s := range append([]*stream(nil), n.streams...) {
		if s.down.from == a && s.down.to == b || s.down.from == b && s.down.to == a {
			s.broken()
		}
	}
}

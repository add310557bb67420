package agentd

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/containerizer"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/refusal"
)

// nest holds the boxes: the containers that were asked for through the agent's
// API, nested in an executor's or standing alone. The agent's core knows nothing
// of them. Safe for concurrent use.
//
//	        Start          Wait            remove
//	launch ──────▶ running ────▶ ended ───────────▶ (forgotten)
//	   │ failed                    │ the outermost container ends
//	   └──▶ (forgotten)            └──────────────────▶ (forgotten)
type nest struct {
	s     *Server
	mu    sync.Mutex
	boxes map[ids.ContainerID]*box
}

// boxesMax bounds the boxes of an agent, with those that have ended and were not
// removed; sessions that have ended make room for others.
const boxesMax = 4096

// A box is one container. What is below ended is set before that is closed.
type box struct {
	containerizer.Box
	life   context.Context //nolint:containedctx // it is the container's life, not a call's: done when it is to be destroyed
	end    context.CancelFunc
	ended  chan struct{}
	status int
	known  bool
	// limited is the limit of its own for which it was killed, nil if for none.
	limited *agent.Limitation
}

// A wish is what is asked for a new box.
type wish struct {
	command   *mesos.CommandInfo
	container *mesos.ContainerInfo
	may       launcher.Resources // none: as much as the container that it is in
	tethered  bool
	session   bool
}

func newNest(s *Server) *nest { return &nest{s: s, boxes: map[ids.ContainerID]*box{}} }

func newBox(of containerizer.Box) *box {
	b := &box{Box: of, ended: make(chan struct{})}
	b.life, b.end = context.WithCancel(context.Background())
	return b
}

func (b *box) over() bool {
	select {
	case <-b.ended:
		return true
	default:
		return false
	}
}

func (n *nest) get(id ids.ContainerID) *box {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.boxes[id]
}

func (n *nest) drop(id ids.ContainerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.boxes, id)
}

// taken reports whether an executor or the task of a pod has the id.
func (n *nest) taken(id ids.ContainerID) bool {
	_, executor := n.s.containers.Load(id)
	_, process := n.s.processes.Load(id)
	return executor || process
}

// launch starts a box and reports whether it is new. The call's end does not end
// it.
func (n *nest) launch(id ids.ContainerID, want wish) (fresh bool, err error) {
	b, err := n.admit(id, &want)
	if b == nil || err != nil {
		return false, err
	}
	process, err := n.start(b, &want)
	if err != nil {
		b.end()
		n.forgetWithin(id)
		close(b.ended)
		n.drop(id)
		_ = n.s.containerizer.Cleanup(id) // nothing ran
		return false, refusal.Invalidf("Failed to launch container: %v", err)
	}
	n.s.spawn(func() { n.watch(b, process) })
	return true, nil
}

// admit enters a new box, unless there is such a container already.
func (n *nest) admit(id ids.ContainerID, want *wish) (*box, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.boxes[id] != nil || n.taken(id) {
		return nil, nil
	}
	if len(n.boxes) >= boxesMax {
		n.forgetSessions()
	}
	if len(n.boxes) >= boxesMax {
		return nil, refusal.Invalidf("The agent remembers %d containers, as many as it may: remove some that have ended", boxesMax)
	}
	place, err := n.place(id, want)
	if err != nil {
		return nil, err
	}
	if user, known := n.s.containerizer.SessionUser(parentOf(id)); want.session && known {
		place.User = user
	}
	if user := want.command.GetUser(); user != "" {
		place.User = user
	}
	place.Session = want.session
	b := newBox(place)
	n.boxes[id] = b
	return b, nil
}

// forgetSessions makes room: many who run a session never remove what is left of it.
// n.mu is held.
func (n *nest) forgetSessions() {
	for id, b := range n.boxes {
		if !b.Session || !b.over() {
			continue
		}
		delete(n.boxes, id)
		n.s.spawn(func() {
			if err := n.s.containerizer.Discard(b.Box); err != nil {
				n.s.log.Warn("cannot remove what is left of a session", attr("container", id), attrErr(err))
			}
		})
	}
}

// place says where a new box is to be, and whose it is by default, and adds to
// the wish what comes with the executor's container.
func (n *nest) place(id ids.ContainerID, want *wish) (at containerizer.Box, err error) {
	at.ID = id
	parent, nested := id.Parent()
	if !nested {
		at.Sandbox = filepath.Join(n.s.cfg.Agent.WorkDir, "containers", id.Value())
		return at, nil
	}
	if c, ok := n.s.containers.Load(id.Root()); ok {
		c := c.(*container)
		if c.make.Docker != nil {
			return at, refusal.Invalidf("A container of the Docker Engine cannot have others in it")
		}
		at.User, at.Within = c.spec.User, c.spec.Sandbox
		want.tethered = !c.spec.Checkpoint
	}
	want.may = nestedAllowance(want.may, want.container)
	above := n.boxes[parent]
	_, task := n.s.processes.Load(parent)
	switch {
	case above != nil && above.life.Err() == nil && above.Within != "":
		at.Sandbox, at.Within, at.User = above.Sandbox, above.Within, above.User
	case above != nil && above.life.Err() == nil:
		at.Sandbox, at.Within, at.User = above.Sandbox, above.Sandbox, above.User
	case above == nil && at.Within != "" && parent == id.Root():
		at.Sandbox = at.Within
	case above == nil && at.Within != "" && task: // of a pod, whose own folder is the agent's
		at.Sandbox = filepath.Join(at.Within, "containers", parent.Value())
		at.Within = at.Sandbox
	default:
		return at, refusal.Invalidf("Parent container %s does not exist", parent)
	}
	at.Sandbox = filepath.Join(at.Sandbox, "containers", id.Value())
	return at, nil
}

func (n *nest) start(b *box, want *wish) (launcher.Process, error) {
	spec := &containerizer.Spec{
		ID: b.ID, Sandbox: b.Sandbox, Within: b.Within, User: b.User, URIs: want.command.GetUris(),
		Tethered: want.tethered, Container: want.container, Resources: want.may,
	}
	if want.session {
		spec.Session, spec.Tethered = parentOf(b.ID), true
	}
	boxes := n.s.containerizer
	if err := boxes.Prepare(b.life, spec); err != nil {
		return nil, err
	}
	if err := boxes.Remember(b.Box); err != nil {
		return nil, err
	}
	if b.life.Err() != nil {
		return nil, errors.New("the container is being destroyed")
	}
	env := variables(want.command)
	if !want.session {
		env = append(env, "MESOS_SANDBOX="+b.Sandbox)
	}
	return boxes.Start(spec, want.command, env)
}

func parentOf(id ids.ContainerID) ids.ContainerID {
	parent, _ := id.Parent()
	return parent
}

// variables are those of a command: a box sees nothing of those that it is nested in,
// but a session does.
func variables(command *mesos.CommandInfo) (env []string) {
	for _, v := range command.GetEnvironment().GetVariables() {
		if v.GetType() == mesos.Environment_Variable_VALUE {
			env = append(env, v.GetName()+"="+v.GetValue())
		}
	}
	return env
}

// watch stays with a box until its process, and all boxes in it, are over.
func (n *nest) watch(b *box, process launcher.Process) {
	n.s.processes.Store(b.ID, process)
	stop := context.AfterFunc(b.life, func() {
		if err := process.Kill(); err != nil {
			n.s.unkilled.Add(1)
			n.s.log.Error("cannot kill a container", attr("container", b.ID), attrErr(err))
		}
	})
	status, err := process.Wait()
	stop()
	n.s.processes.Delete(b.ID)
	b.end()
	n.endWithin(b.ID)
	if err := n.s.containerizer.Release(b.ID); err != nil {
		n.s.log.Warn("cannot clean up after a container", attr("container", b.ID), attrErr(err))
	}
	b.status, b.known = status, err == nil
	if l := process.Limitation(); l != nil && l.Of == string(b.ID) {
		b.limited = limitation(l)
	}
	close(b.ended)
}

// within returns the boxes nested in a container, however deep.
func (n *nest) within(id ids.ContainerID) []*box {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []*box
	for other, b := range n.boxes {
		if strings.HasPrefix(string(other), string(id)+".") {
			all = append(all, b)
		}
	}
	return all
}

// endWithin destroys the boxes nested in a container and waits for their end.
// The caller sees to it that no more come.
func (n *nest) endWithin(id ids.ContainerID) {
	all := n.within(id)
	for _, b := range all {
		b.end()
	}
	for _, b := range all {
		<-b.ended
	}
}

// forgetWithin is endWithin for a container that nothing stays of.
func (n *nest) forgetWithin(id ids.ContainerID) {
	n.endWithin(id)
	for _, b := range n.within(id) {
		n.drop(b.ID)
	}
}

// kill sends a signal to a container: a box, or one with a process besides.
func (n *nest) kill(id ids.ContainerID, sig syscall.Signal) error {
	process, ok := n.s.processes.Load(id)
	if !ok {
		return refusal.NotFoundf("Container '%s' cannot be found (or is already killed)", id)
	}
	if sig == syscall.SIGKILL {
		return process.(launcher.Process).Kill()
	}
	return process.(launcher.Process).Signal(sig)
}

// wait returns how a box has ended, when it has.
func (n *nest) wait(ctx context.Context, id ids.ContainerID) (*box, error) {
	b := n.get(id)
	if b == nil {
		return nil, refusal.NotFoundf("Container %s cannot be found", id)
	}
	select {
	case <-b.ended:
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-n.s.stopped:
		return nil, refusal.Unavailablef("The agent is stopping")
	}
}

// remove forgets a box that has ended, and deletes its sandbox. What is not
// there is removed.
func (n *nest) remove(id ids.ContainerID) error {
	b := n.get(id)
	if b == nil && !n.taken(id) {
		return nil
	}
	if b == nil || !b.over() {
		return errRunning(id)
	}
	if err := n.s.containerizer.Discard(b.Box); err != nil {
		return err
	}
	for _, inner := range n.within(id) {
		n.drop(inner.ID)
	}
	n.drop(id)
	return nil
}

func errRunning(id ids.ContainerID) error {
	if id.Nested() {
		return errors.New("Nested container has not terminated yet") //nolint:staticcheck // Mesos's words, for the caller
	}
	return errors.New("Container has not terminated yet") //nolint:staticcheck // Mesos's words, for the caller
}

// recover takes up the boxes of the agent's earlier life.
func (n *nest) recover() error {
	boxes, err := n.s.containerizer.Boxes()
	if err != nil {
		return err
	}
	for _, known := range boxes {
		n.takeUp(known)
	}
	return nil
}

func (n *nest) takeUp(known containerizer.Box) {
	b := newBox(known)
	n.boxes[b.ID] = b
	pid, _ := n.s.containerizer.PID(b.ID)
	process, err := n.s.containerizer.Adopt(b.ID, pid)
	if err == nil && pid != 0 {
		n.s.processes.Store(b.ID, process)
		n.s.spawn(func() { n.watch(b, process) })
		return
	}
	b.status, b.known = n.s.containerizer.Status(b.ID)
	b.end()
	close(b.ended)
}

// recoverForeign takes up what an agent of Apache Mesos's has nested in the
// container of an executor: the tasks of a pod, for which that executor waits, and
// which it kills, through us. user is the executor's.
func (n *nest) recoverForeign(parent ids.ContainerID, root, sandbox, user string) {
	for _, id := range n.s.containerizer.Nested(parent) {
		own := filepath.Join(sandbox, "containers", id.Value())
		if n.boxes[id] == nil {
			n.takeUp(containerizer.Box{ID: id, Sandbox: own, Within: root, User: user})
		}
		n.recoverForeign(id, root, own, user)
	}
}

// standalone reports whether a container is a box of its own, in no executor's.
func (n *nest) standalone(id ids.ContainerID) bool { return n.get(id.Root()) != nil }

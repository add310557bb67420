package master

import (
	"log/slog"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
)

// subscribe gives a framework its event stream: a new one, one that comes back
// in time, one that takes over from its predecessor, or one that knew an
// earlier leader.
func (m *Master) subscribe(in Subscribe) {
	info := in.Call.GetFrameworkInfo()
	if info.GetId().GetValue() == "" {
		m.counters.Messages.RegisterFramework++
	} else {
		m.counters.Messages.ReregisterFramework++
	}
	err := m.checkFramework(info)
	var w wishes
	if err == nil {
		w, err = m.wishesOf(info, in.Call.SuppressedRoles, in.Call.OfferConstraints, in.Constraints)
	}
	switch {
	case err != nil:
		m.refuseSubscription(in.Peer, err.Error())
	case info.GetId().GetValue() == "":
		m.subscribeNew(in, w)
	default:
		m.subscribeAgain(in, w)
	}
}

// refuseSubscription says on the stream why, and ends it.
func (m *Master) refuseSubscription(peer Peer, why string) {
	m.emit(ToFramework{Peer: peer, Event: errorEvent(why)})
	if peer.Driver == "" {
		m.emit(CloseFramework{peer})
	}
	m.log.Info("subscription refused", slog.String("reason", why))
}

// checkFramework returns a refusal unless a framework may be in this cluster.
func (m *Master) checkFramework(info *mesos.FrameworkInfo) error {
	if err := validate.FrameworkInfo(info); err != nil {
		return err
	}
	if bad := m.unlistedRoles(rolesOf(info)); len(bad) > 0 {
		return refusal.Forbiddenf("Roles %s are not present in the master's --roles", setText(bad))
	}
	if info.GetUser() == "root" && !m.cfg.RootSubmissions {
		return refusal.Forbiddenf("User 'root' is not allowed to run frameworks without --root_submissions set")
	}
	if m.isCompleted(ids.FrameworkID(info.GetId().GetValue())) {
		return refusal.Gonef("Framework has been removed")
	}
	return nil
}

func (m *Master) unlistedRoles(roles []string) []string {
	return slices.DeleteFunc(slices.Clone(roles), m.isListed)
}

// wishes are what a framework says of the offers it wants. They replace what
// it said before.
type wishes struct {
	suppressed  []string // sorted
	constraints *schedulerpb.OfferConstraints
	compiled    *allocator.Constraints
}

// wishesOf returns a refusal unless the wishes make sense and are about the
// framework's own roles.
func (m *Master) wishesOf(info *mesos.FrameworkInfo, suppressed []string, constraints *schedulerpb.OfferConstraints, compiled Compiled) (w wishes, err error) {
	invariant.Check(compiled.from == constraints, "the constraints of a call are compiled")
	if err := validate.SuppressedRoles(rolesOf(info), suppressed); err != nil {
		return w, err
	}
	if err := validate.OfferConstraints(rolesOf(info), constraints); err != nil {
		return w, err
	}
	if compiled.err != nil {
		return w, refusal.Invalidf("Offer constraints are not valid: %s", compiled.err)
	}
	w.suppressed = slices.Compact(slices.Sorted(slices.Values(suppressed)))
	w.constraints, w.compiled = constraints, compiled.constraints
	return w, nil
}

// setText writes names as Mesos writes a set.
func setText(names []string) string {
	return "{ " + strings.Join(slices.Sorted(slices.Values(names)), ", ") + " }"
}

// subscribeNew gives a framework its ID.
func (m *Master) subscribeNew(in Subscribe, w wishes) {
	if f := m.frameworkAt[in.Peer.Driver]; f != nil && in.Peer.Driver != "" {
		m.subscribed(f, false) // it has not had the answer
		return
	}
	id := ids.FrameworkIDFor(m.id, m.frameworkCount)
	m.frameworkCount++
	info := in.Call.FrameworkInfo.CloneVT()
	info.Id = frameworkID(id)
	withPrincipal(info, in.Principal)
	f := m.addFramework(info, w, active, in.Peer)
	m.connect(f, in.Peer)
	m.alloc.AddFramework(m.allocatorFramework(f))
	m.ranking.stale = true
	m.countCall(f, schedulerpb.Call_SUBSCRIBE)
	m.subscribed(f, false)
	m.tell(FrameworkAdded{f.freeze()})
	m.log.Info("framework subscribed", slog.String("framework_id", string(id)), slog.String("name", info.GetName()))
}

func withPrincipal(info *mesos.FrameworkInfo, principal string) {
	if info.Principal == nil && principal != "" {
		info.Principal = &principal
	}
}

// subscribed sends SUBSCRIBED, the first event of every stream. The HEARTBEATs
// that follow are the stream's own affair.
func (m *Master) subscribed(f *framework, again bool) {
	if !f.row.Connected {
		return
	}
	m.editFramework(f).Counters.Events[schedulerpb.Event_SUBSCRIBED]++
	info := m.shown
	if f.row.Peer.Driver != "" {
		info = m.info
	}
	m.emit(ToFramework{
		Peer:      f.row.Peer,
		Framework: f.id,
		Again:     again,
		Event: &schedulerpb.Event{
			Type: schedulerpb.Event_SUBSCRIBED.Enum(),
			Subscribed: &schedulerpb.Event_Subscribed{
				FrameworkId:              frameworkID(f.id),
				HeartbeatIntervalSeconds: new(m.cfg.HeartbeatInterval.Seconds()),
				MasterInfo:               info,
			},
		},
	})
}

// forFrameworks returns the master's description as frameworks on HTTP are sent it:
// without QUOTA_V2, which is no concern of theirs and which JSON clients that are
// older than it (mesos-go) take for an error that ends their stream. Drivers, which
// know no JSON, get all of it.
func forFrameworks(info *mesos.MasterInfo) *mesos.MasterInfo {
	shown := info.CloneVT()
	shown.Capabilities = slices.DeleteFunc(shown.Capabilities, func(c *mesos.MasterInfo_Capability) bool {
		return c.GetType() == mesos.MasterInfo_Capability_QUOTA_V2
	})
	return shown
}

// subscribeAgain takes a framework back that has an ID already. It is taken at
// its word if the master does not know it: it may be older than the master.
func (m *Master) subscribeAgain(in Subscribe, w wishes) {
	info := in.Call.FrameworkInfo.CloneVT()
	withPrincipal(info, in.Principal)
	id := ids.FrameworkID(info.GetId().GetValue())
	if other := m.frameworkAt[in.Peer.Driver]; in.Peer.Driver != "" && other != nil && other.id != id {
		m.log.Error("driver has another framework", slog.String("framework_id", string(id)), slog.String("has", string(other.id)))
		return
	}
	f := m.frameworks[id]
	if f == nil {
		f = m.recoverFramework(info)
	}
	info.User, info.Checkpoint = f.row.Info.User, f.row.Info.Checkpoint // never change
	if err := validate.FrameworkPrincipal(f.row.Info, info); err != nil {
		m.refuseSubscription(in.Peer, err.Error())
		return
	}
	if f.state != recovered && in.Peer.Driver != "" && f.driver != in.Peer.Driver && !in.Force {
		m.refuseSubscription(in.Peer, "Framework failed over")
		return
	}
	m.countCall(f, schedulerpb.Call_SUBSCRIBE)
	m.redescribe(f, info, w)
	m.takeOver(f, in)
	m.announceFramework(f)
	m.log.Info("framework subscribed again", slog.String("framework_id", string(f.id)), slog.String("name", info.GetName()))
}

// redescribe changes what is known of a framework. Offers in roles that it has
// left are rescinded.
func (m *Master) redescribe(f *framework, info *mesos.FrameworkInfo, w wishes) {
	left := without(f.roles, rolesOf(info))
	if len(without(f.row.Suppressed, w.suppressed)) > 0 {
		m.waive(f) // that revives it
	}
	m.describe(f, info, w)
	m.alloc.UpdateFramework(m.allocatorFramework(f))
	m.ranking.stale = true
	if len(left) > 0 {
		m.withdraw(f, left, true)
	}
}

// takeOver connects a framework to the peer that subscribed for it, in place
// of the one it had.
func (m *Master) takeOver(f *framework, in Subscribe) {
	row := m.editFramework(f)
	row.Reregistered = m.now
	if f.state == recovered {
		row.Registered = m.now
	}
	m.leavePeer(f, in.Peer)
	resumes := in.Peer.Driver != "" && !in.Force && f.state != recovered
	m.withdraw(f, f.roles, resumes) // the same driver is told: it may have answered in vain
	wasRecovered := f.state == recovered
	m.connect(f, in.Peer)
	if f.state != active {
		m.setState(f, active)
		m.alloc.ActivateFramework(f.id)
	}
	m.subscribed(f, resumes || wasRecovered && in.Peer.Driver == "")
}

// leavePeer tells a framework's predecessor that it is replaced.
func (m *Master) leavePeer(f *framework, next Peer) {
	old := f.row.Peer
	if !f.row.Connected || old == next {
		return
	}
	if next.Driver == "" || old.Driver != next.Driver {
		m.notify(f, errorEvent("Framework failed over"))
	}
	if old.Driver == "" {
		m.emit(CloseFramework{old})
	}
	m.detach(f)
}

// updateFramework answers UPDATE_FRAMEWORK.
func (m *Master) updateFramework(f *framework, principal string, call *schedulerpb.Call_UpdateFramework, compiled Compiled) *refusal.Error {
	info := call.GetFrameworkInfo().CloneVT()
	withPrincipal(info, principal)
	if err := m.checkFramework(info); err != nil {
		return refusal.Invalidf("Supplied FrameworkInfo is not valid: %s", err)
	}
	if err := validate.FrameworkUpdate(f.row.Info, info); err != nil {
		return refusal.Invalidf("FrameworkInfo update is not valid: %s", err)
	}
	w, err := m.wishesOf(info, call.SuppressedRoles, call.OfferConstraints, compiled)
	if err != nil {
		return refusal.Invalidf("'UpdateFramework' call is not valid: %s", err)
	}
	changed := !f.row.Info.EqualVT(info)
	m.redescribe(f, info, w)
	if changed {
		m.announceFramework(f)
	}
	return nil
}

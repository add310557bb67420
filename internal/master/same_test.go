package master

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
)

// TestSameHistory has masters live through the same history in different ways: in
// slices of different sizes, with effects taken after each input or after several,
// with records that are durable at once or late and several together, with ticks
// that nobody asked for. All must end with the same books and the same records, and
// have told everybody the same.
//
// What may differ with time by right is kept out of it:
//
//   - What is free goes to whoever is first when the allocator runs, so it runs where
//     the history says, at the end of a round, and not after each batch.
//   - Agents are visited in an order that is drawn over a list of candidates, and that
//     list is in the order in which they became such. So all agents are candidates in
//     each round.
//   - What is not durable, or is done a part at a time and not done, has not happened
//     yet: an ACCEPT before an agent's loss is recorded launches, and one after it
//     does not. So nothing in a round is about what an earlier input in it left open.
//   - When a quota is set, offers are rescinded that are in its way, one after the
//     other until the others are in nobody's way: any of them. So none are out then.
//   - Who hears of two things in a round that have nothing to do with each other may
//     hear of either first. About one task, one offer or one request the order holds.
func TestSameHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := smallConfig(t)
		tape := compose(t, cfg)
		cfg.AllocationBudget = 1 << 20
		want := tape.play(cfg, way{batch: 1})
		for range 2 {
			how := way{
				seed:  rapid.Uint64().Draw(t, "seed"),
				batch: rapid.SampledFrom([]int{1, 3, 100}).Draw(t, "inputs in a batch"),
				late:  rapid.Bool().Draw(t, "records are late"),
				ticks: rapid.Bool().Draw(t, "unasked ticks"),
				busy:  rapid.Bool().Draw(t, "inputs come between slices"),
			}
			cfg.AllocationBudget = rapid.SampledFrom([]int{1, 2, 5, 20, 500, 1 << 20}).Draw(t, "budget")
			got := tape.play(cfg, how)
			if d := difference(want, got); d != "" {
				t.Fatalf("budget %d, %+v:\n%s\n%s", cfg.AllocationBudget, how, tape, d)
			}
		}
	})
}

// difference says where two accounts part.
func difference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(want):
			return "too much: " + got[i]
		case i >= len(got):
			return "missing: " + want[i]
		case want[i] != got[i]:
			return fmt.Sprintf("after %s\nwant %s\ngot  %s", strings.Join(want[max(0, i-5):i], "\n"), want[i], got[i])
		}
	}
	return ""
}

// A tape is a history: what was heard, and when.
type tape []entry

type entry struct {
	at time.Time
	in Input
}

func (tp tape) String() string {
	var text strings.Builder
	for _, e := range tp {
		fmt.Fprintf(&text, "%s %s\n", e.at.Format(time.TimeOnly), inputText(e.in))
	}
	return text.String()
}

func inputText(in Input) string {
	switch in := in.(type) {
	case SchedulerCall:
		return in.Call.GetFrameworkId().GetValue() + " calls " + in.Call.String()
	case OperatorCall:
		return "operator calls " + in.Call.String()
	case AgentMessage:
		return fmt.Sprintf("%s sends %T", in.From, in.Message)
	default:
		return fmt.Sprintf("%T %+v", in, in)
	}
}

// These things on a tape are none that masters hear.
type (
	roundOver struct{}           // the allocator decides
	election  struct{}           // another master leads
	silence   struct{ ids.UPID } // an agent answers no pings from now on, or does again
)

func (roundOver) input() {}
func (election) input()  {}
func (silence) input()   {}

// A gate is an allocator that runs when it is open. It asks for inverse offers when it
// has got through, so that they are numbered after the offers.
type gate struct {
	*allocator.Allocator
	open, more bool
	inverse    []allocator.InverseOffer
}

func newGate() *gate {
	return &gate{Allocator: allocator.New(allocator.DefaultConfig(), rand.New(rand.NewPCG(1, 2)))}
}

func (g *gate) Run(now time.Time, budget int) (offers []allocator.Offer, more bool) {
	if !g.open {
		return nil, false
	}
	offers, g.more = g.Allocator.Run(now, budget)
	return offers, g.more
}

func (g *gate) InverseOffers() []allocator.InverseOffer {
	g.inverse = append(g.inverse, g.Allocator.InverseOffers()...)
	if g.more {
		return nil
	}
	all := g.inverse
	g.inverse = nil
	return all
}

func (g *gate) Wake(now time.Time) time.Time {
	if !g.open {
		return time.Time{}
	}
	return g.Allocator.Wake(now)
}

// roundTime is how long a round takes at least: by then the agents that wait for the
// allocator's batch are candidates.
var roundTime = allocator.DefaultConfig().Interval

// A player has a master live through a tape.
type player struct {
	w     *world
	gate  *gate
	how   way
	rng   *rand.Rand
	wake  time.Time
	mute  map[ids.UPID]bool
	round []told
	all   []string
}

// A way is how.
type way struct {
	seed        uint64
	batch       int // inputs at most
	late        bool
	ticks, busy bool
}

// A told is something that somebody was told, about something.
type told struct{ who, about, what string }

func newPlayer(cfg Config, how way) *player {
	p := &player{w: unledWorld(cfg), how: how, rng: rand.New(rand.NewPCG(how.seed, 0)), mute: map[ids.UPID]bool{}}
	p.w.hold = true
	p.w.allocator = func() Allocator {
		p.gate = newGate()
		return p.gate
	}
	p.w.seen = p.listen
	p.w.elect()
	return p
}

// play has a new master live through the tape, and returns an account of it.
func (tp tape) play(cfg Config, how way) []string {
	p := newPlayer(cfg, how)
	left := 0
	for _, e := range tp {
		if e.at.After(p.w.now) {
			p.pass(e.at)
		}
		switch in := e.in.(type) {
		case roundOver:
			p.endRound()
		case silence:
			p.settle() // pings that it answers are out
			p.mute[in.UPID] = !p.mute[in.UPID]
		case election:
			p.settle()
			p.tellRound()
			p.w.elect()
		default:
			p.w.m.Step(p.w.now, in)
			if left--; left <= 0 {
				p.take()
				left = 1 + p.rng.IntN(how.batch)
			}
		}
	}
	p.endRound()
	return append(p.all, p.books()...)
}

// take takes effects after a batch.
func (p *player) take() {
	switch {
	case p.how.busy:
		p.effects()
	case p.how.late:
		p.rest()
	default:
		p.settle()
	}
	if p.how.late && p.rng.IntN(4) == 0 {
		p.commit()
	}
}

// effects takes effects once.
func (p *player) effects() {
	p.w.m.Check()
	e := p.w.m.Effects()
	p.w.m.Check()
	p.listen(e)
	p.w.carryOut(e)
	p.wake = e.Wake
	for _, msg := range e.Messages {
		if to, ok := msg.(ToProcess); ok && isPing(to) && !p.mute[to.To] {
			p.w.m.Step(p.w.now, AgentMessage{From: to.To, To: to.From, Message: &messages.PongSlaveMessage{}})
		}
	}
}

func isPing(p ToProcess) bool {
	_, ping := p.Message.(*messages.PingSlaveMessage)
	return ping
}

// rest takes effects until there is nothing to be done at once.
func (p *player) rest() {
	for p.effects(); !p.wake.IsZero() && !p.wake.After(p.w.now); p.effects() {
		p.w.m.Step(p.w.now, Tick{})
	}
}

// commit makes all records durable that are out.
func (p *player) commit() {
	for _, seq := range p.w.held {
		p.w.m.Step(p.w.now, Committed{seq})
	}
	p.w.held = nil
}

// settle does all that is left to do at this time.
func (p *player) settle() {
	for p.rest(); len(p.w.held) > 0; p.rest() {
		p.commit()
	}
}

// pass lets time pass.
func (p *player) pass(until time.Time) {
	for p.settle(); !p.wake.IsZero() && p.wake.Before(until); p.settle() {
		due := p.wake
		p.tick(due)
		p.w.now = due
		p.w.m.Step(p.w.now, Tick{})
	}
	p.tick(until)
	p.w.now = until
	p.w.m.Step(p.w.now, Tick{})
	p.settle()
}

// tick steps ticks before then.
func (p *player) tick(then time.Time) {
	for room := then.Sub(p.w.now); p.how.ticks && room > 1 && p.rng.IntN(2) == 0; room = then.Sub(p.w.now) {
		p.w.now = p.w.now.Add(time.Duration(p.rng.Int64N(int64(room))))
		p.w.m.Step(p.w.now, Tick{})
		p.settle()
	}
}

// endRound has the allocator decide, about all agents.
func (p *player) endRound() {
	p.settle()
	p.w.m.Step(p.w.now, Whitelist{})
	p.pass(p.w.now.Add(roundTime))
	p.gate.open = true
	p.settle()
	p.gate.open = false
	p.tellRound()
}

// tellRound adds a round to the account. A stream that ends is told of offers that
// are taken back if they are few.
func (p *player) tellRound() {
	slices.SortStableFunc(p.round, func(a, b told) int {
		return cmp.Or(strings.Compare(a.who, b.who), strings.Compare(a.about, b.about))
	})
	closed := map[string]bool{}
	for _, t := range p.round {
		closed[t.who] = closed[t.who] || t.what == "closed"
	}
	for _, t := range p.round {
		if !closed[t.who] || !strings.HasPrefix(t.what, "RESCIND") {
			p.all = append(p.all, t.who+": "+t.what)
		}
	}
	p.all = append(p.all, "-- "+p.w.now.Format(time.TimeOnly))
	p.round = p.round[:0]
}

// listen notes what effects tell.
func (p *player) listen(e Effects) {
	for _, msg := range e.Messages {
		switch msg := msg.(type) {
		case ToFramework:
			p.heard(msg)
		case CloseFramework:
			p.note(stream(msg.Peer), "~", "closed")
		case ToProcess:
			if !isPing(msg) {
				what := messageText(msg)
				p.note(string(msg.To), strings.Join(strings.Fields(what)[:1], ""), what)
			}
		case Reply:
			p.note("operator", fmt.Sprintf("request %d", msg.Request), fmt.Sprintf("reply to %d: %v", msg.Request, msg.Err))
		default: // how others are watched, and modules
		}
	}
	for _, ev := range e.Events {
		what := eventText(ev)
		about := strings.Fields(what)[1]
		switch ev := ev.(type) {
		case TaskAdded:
			about += " of " + string(ev.Task.Framework)
		case TaskUpdated:
			about += " of " + string(ev.Framework)
		default: // the ID of an agent or a framework
		}
		p.note("operators", about, about+": "+what)
	}
	if e.Fatal != "" {
		p.note("master", "", e.Fatal)
	}
}

func (p *player) note(who, about, what string) {
	p.round = append(p.round, told{who, about, what})
}

func stream(p Peer) string { return fmt.Sprintf("stream %d", p.Conn) }

// heard notes what a framework is told. How many offers are in one event depends on
// slices.
func (p *player) heard(to ToFramework) {
	who := stream(to.Peer)
	switch e := to.Event; e.GetType() {
	case schedulerpb.Event_OFFERS:
		for _, o := range e.Offers.Offers {
			p.note(who, o.Id.GetValue(), "OFFER "+offerText(o))
		}
	case schedulerpb.Event_INVERSE_OFFERS:
		for _, o := range e.InverseOffers.InverseOffers {
			p.note(who, o.Id.GetValue(), "INVERSE_OFFER "+o.Id.GetValue()+" "+o.AgentId.GetValue()+untilText(o.Unavailability))
		}
	case schedulerpb.Event_UPDATE:
		p.note(who, e.Update.Status.TaskId.GetValue(), p.w.schedulerEventText(to))
	default:
		text := p.w.schedulerEventText(to)
		p.note(who, text, text)
	}
}

// books returns what readers see, and what another leader would find.
func (p *player) books() []string {
	p.w.out.Reset()
	p.w.printState()
	p.w.printQuotas()
	lines := strings.Split(strings.TrimSpace(p.w.out.String()), "\n")
	for key, value := range p.w.store {
		lines = append(lines, fmt.Sprintf("record %s %x", key, bytes.TrimSpace(value)))
	}
	slices.Sort(lines)
	return lines
}

// A composer makes a tape: it has a master live through a random history, and ends a
// round whenever something comes that is about what the round has left open.
type composer struct {
	*history
	p     *player
	tape  tape
	open  map[string]bool // what the round has left open
	last  []string        // what the last input was about
	batch uint64          // number of the batch of records before it
}

func compose(t *rapid.T, cfg Config) tape {
	cfg.AllocationBudget = 1 << 20
	p := newPlayer(cfg, way{batch: 1})
	c := &composer{history: &history{t: t, w: p.w}, p: p, open: map[string]bool{}}
	p.w.hold, p.w.heard = false, c.hear
	deeds := maps.Clone(deeds)
	deeds["wait"] = func(*history) { c.wait() }
	deeds["elect"] = func(*history) { c.elect() }
	deeds["silence"] = func(h *history) {
		for _, a := range h.w.agents {
			was := a.mute
			defer func() {
				if a.mute != was {
					c.tape = append(c.tape, entry{c.w.now, silence{a.pid}})
				}
			}()
		}
		h.silence()
	}
	deeds["setQuota"] = func(h *history) {
		c.endRound()
		c.clear()
		h.setQuota()
		c.all(schedulerpb.Call_REVIVE)
	}
	deeds["delayRecords"] = func(*history) { c.endRound() }
	for range 2 {
		c.join()
		c.subscribe()
	}
	c.endRound()
	for _, deed := range rapid.SliceOfN(rapid.SampledFrom(busy), 10, 60).Draw(t, "deeds") {
		deeds[deed](c.history)
		c.w.out.Reset()
	}
	c.endRound()
	return c.tape
}

// busy has more of what may come in the middle of a round.
var busy = append(slices.Repeat([]string{
	"accept", "accept", "decline", "progress", "progress", "acknowledge", "revive", "kill", "settleOperation",
}, 4), usual...)

// hear puts an input on the tape before the master hears of it.
func (c *composer) hear(in Input) {
	if msg, ok := in.(AgentMessage); ok {
		if _, pong := msg.Message.(*messages.PongSlaveMessage); pong { // players send their own
			return
		}
	}
	about := c.about(in)
	if c.w.m.batch != c.batch {
		c.leaveOpen(c.last)
	}
	if c.isOpen(about) {
		c.endRound()
	}
	c.tape = append(c.tape, entry{c.w.now, in})
	if msg, ok := in.(AgentMessage); ok {
		if _, back := msg.Message.(*messages.ReregisterSlaveMessage); back {
			about = exceptUpdates(about, msg.From)
		}
	}
	c.last, c.batch = about, c.w.m.batch
	c.leaveOpen(c.goesOn(in))
}

// goesOn returns what is not done of an input that may be done a part at a time.
func (c *composer) goesOn(in Input) []string {
	switch in := in.(type) {
	case OperatorCall, Subscribe, PeerClosed, Exited:
		return c.about(in)
	case SchedulerCall:
		switch in.Call.GetType() {
		case schedulerpb.Call_RECONCILE, schedulerpb.Call_TEARDOWN, schedulerpb.Call_UPDATE_FRAMEWORK:
			return c.about(in)
		case schedulerpb.Call_RECONCILE_OPERATIONS:
			about := c.about(in)
			if ops := c.w.m.operations[ids.FrameworkID(in.Call.FrameworkId.GetValue())]; ops != nil {
				for o := ops.byAge.oldest; o != nil; o = o.age.younger {
					about = append(about, updates(o.agent.row.PID.Address()))
				}
			}
			return about
		case schedulerpb.Call_ACCEPT, schedulerpb.Call_DECLINE: // the framework may call for offers again
			return slices.DeleteFunc(c.about(in), func(one string) bool { return strings.HasPrefix(one, "framework") })
		default:
		}
	case AgentMessage:
		switch msg := in.Message.(type) {
		case *messages.RegisterSlaveMessage, *messages.UnregisterSlaveMessage:
			return []string{members}
		case *messages.UpdateSlaveMessage:
			about := c.aboutAgent(in.From.Address())
			for _, op := range msg.GetOperations().GetOperations() {
				about = append(about, "framework "+op.GetFrameworkId().GetValue())
			}
			return about
		case *messages.ReregisterSlaveMessage:
			return exceptUpdates(c.about(in), in.From)
		default:
		}
	default:
	}
	return nil
}

// exceptUpdates returns what an agent that is back is about, but for what it says of what
// it runs.
func exceptUpdates(about []string, from ids.UPID) []string {
	return slices.DeleteFunc(about, func(one string) bool { return one == updates(from.Address()) })
}

func (c *composer) leaveOpen(about []string) {
	for _, one := range about {
		c.open[one] = true
	}
}

const (
	everything = "*"       // what an input is about that is about everything
	members    = "members" // of the allocator, which numbers agents as they come
	draws      = "draws"   // of UUIDs, for operations in their order
)

func (c *composer) isOpen(about []string) bool {
	if len(c.open) == 0 || len(about) == 0 {
		return false
	}
	return c.open[everything] || slices.ContainsFunc(about, func(one string) bool { return one == everything || c.open[one] })
}

// about returns the agents and frameworks that an input is about: all that have
// something to do with whom it is from or names.
func (c *composer) about(in Input) []string {
	switch in := in.(type) {
	case AgentMessage:
		about := c.aboutAgent(in.From.Address())
		switch msg := in.Message.(type) {
		case *messages.RegisterSlaveMessage, *messages.UnregisterSlaveMessage:
			return about
		case *messages.ReregisterSlaveMessage:
			for _, f := range msg.Frameworks {
				about = append(about, "framework "+f.GetId().GetValue())
			}
			return append(about, members) // it may need no record
		default:
			return []string{updates(in.From.Address())}
		}
	case Exited:
		return c.aboutAgent(in.Address)
	case SchedulerCall:
		switch in.Call.GetType() {
		case schedulerpb.Call_TEARDOWN, schedulerpb.Call_UPDATE_FRAMEWORK:
			return []string{everything}
		case schedulerpb.Call_REVIVE, schedulerpb.Call_SUPPRESS:
			return []string{"framework " + in.Call.FrameworkId.GetValue()}
		default:
		}
		about := c.aboutFramework(ids.FrameworkID(in.Call.FrameworkId.GetValue()))
		if slices.ContainsFunc(in.Call.GetAccept().GetOperations(), func(op *mesos.Offer_Operation) bool { return !isLaunch(op) }) {
			about = append(about, draws)
		}
		return about
	default: // also who comes and goes: a role forgets how often it was served when it has nobody
		return []string{everything}
	}
}

// updates is what an agent says of what it runs: that waits while it returns.
func updates(address string) string { return "updates from " + address }

func (c *composer) aboutAgent(address string) []string {
	about := []string{"agent " + address, updates(address)}
	for _, a := range c.w.m.agents {
		if a.row.PID.Address() != address {
			continue
		}
		for _, o := range a.offers {
			about = append(about, "framework "+string(o.framework.id))
		}
		for id := range a.frameworks {
			about = append(about, "framework "+string(id))
		}
	}
	return about
}

func (c *composer) aboutFramework(id ids.FrameworkID) []string {
	about := []string{"framework " + string(id)}
	if f := c.w.m.frameworks[id]; f != nil {
		for _, o := range f.offers {
			about = append(about, "agent "+o.agent.row.PID.Address(), updates(o.agent.row.PID.Address()))
		}
		for _, a := range f.agents {
			about = append(about, "agent "+a.row.PID.Address(), updates(a.row.PID.Address()))
		}
		for o := c.w.m.operationsOf(f).byAge.oldest; o != nil; o = o.age.younger {
			about = append(about, "agent "+o.agent.row.PID.Address(), updates(o.agent.row.PID.Address()))
		}
	}
	return about
}

func (c *composer) endRound() {
	c.tape = append(c.tape, entry{c.w.now, roundOver{}})
	clear(c.open)
	c.last, c.batch = nil, c.w.m.batch
	c.w.settle()
	c.w.m.Step(c.w.now, Whitelist{})
	c.w.advance(roundTime)
	c.p.gate.open = true
	c.w.settle()
	c.p.gate.open = false
}

// clear has all frameworks give back what they are offered, and want no more.
func (c *composer) clear() {
	c.all(schedulerpb.Call_SUPPRESS)
	for _, o := range inOrder(c.w.m.offers) {
		for _, f := range c.w.frameworks {
			if o.framework.id == f.id {
				c.w.call(f, &schedulerpb.Call{
					Type: schedulerpb.Call_DECLINE.Enum(), Decline: &schedulerpb.Call_Decline{OfferIds: offerIDs(string(o.row.ID))},
				})
			}
		}
	}
}

// all has all frameworks make the same call.
func (c *composer) all(call schedulerpb.Call_Type) {
	for _, name := range slices.Sorted(maps.Keys(c.w.frameworks)) {
		c.w.call(c.w.frameworks[name], &schedulerpb.Call{
			Type: &call, Revive: &schedulerpb.Call_Revive{}, Suppress: &schedulerpb.Call_Suppress{},
		})
	}
}

func (c *composer) wait() {
	c.endRound()
	c.history.wait()
	c.endRound()
}

func (c *composer) elect() {
	c.endRound()
	c.tape = append(c.tape, entry{c.w.now, election{}})
	c.w.elect()
	c.endRound()
}

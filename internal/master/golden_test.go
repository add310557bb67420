package master

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/registry"
)

// TestGolden gives the master what a Mesos master was sent by an agent and
// schedulers, in two lives of it, and compares what it sends to each with what
// the Mesos master sent. Times aside, and when pings and offers are sent.
func TestGolden(t *testing.T) {
	r := &replay{t: t, store: map[string][]byte{}}
	r.life("02_task_to_the_end", "01_register_and_ping", "02_task_to_the_end", "03_task_killed",
		"04_agent_killed_and_restarted", "04b_agent_back")
	r.life("05b_master_back", "05b_master_back", "06_agent_sigusr1")
}

// A captured is one line of a capture.
type captured struct {
	N        int
	T        float64
	Conn     ConnID
	Src, Dst string
	Kind     string
	First    string
	Body     string
	Type     string
}

type replay struct {
	t     *testing.T
	store map[string][]byte
	m     *Master
	now   time.Time

	agent  []proto.Message                 // what was sent to the agent and not compared
	events map[ConnID][]*schedulerpb.Event // to schedulers
	conns  map[ids.FrameworkID]ConnID
	offers map[string]*mesos.OfferID // ours, by theirs
	where  string
}

func (r *replay) read(name string) (all []captured) {
	dec := json.NewDecoder(bytes.NewReader(golden.Read(r.t, "inner_registration/"+name+".jsonl")))
	for dec.More() {
		var c captured
		if err := dec.Decode(&c); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// life replays captures against a new master, which is who says so in one of
// them.
func (r *replay) life(who string, names ...string) {
	r.now = start
	r.agent, r.events, r.conns = nil, map[ConnID][]*schedulerpb.Event{}, map[ids.FrameworkID]ConnID{}
	r.offers = map[string]*mesos.OfferID{}
	cfg := DefaultConfig()
	cfg.AgentPingTimeout = time.Second
	rng := rand.New(rand.NewPCG(1, 1))
	r.m = New(cfg, Deps{
		Rand: rng, Log: slog.New(slog.DiscardHandler),
		Allocator: allocator.New(allocator.DefaultConfig(), rng),
	})
	stored, err := registry.Load(maps.All(r.store))
	if err != nil {
		r.t.Fatal(err)
	}
	r.m.Recover(r.now, Inherit(stored), r.masterInfo(who))
	for _, name := range names {
		for _, c := range r.read(name) {
			r.where = name
			r.replay(c)
		}
	}
}

func (r *replay) masterInfo(name string) *mesos.MasterInfo {
	for _, c := range r.read(name) {
		if e, ok := r.message(c).(*schedulerpb.Event); ok && e.GetType() == schedulerpb.Event_SUBSCRIBED {
			return e.Subscribed.MasterInfo
		}
	}
	r.t.Fatal("no SUBSCRIBED in ", name)
	return nil
}

// message returns the message of a line, or nil.
func (r *replay) message(c captured) proto.Message {
	if c.Type == "" {
		return nil
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(c.Type))
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := base64.StdEncoding.DecodeString(c.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	m := mt.New().Interface()
	if err := proto.Unmarshal(body, m); err != nil {
		r.t.Fatal(err)
	}
	return m
}

func (r *replay) replay(c captured) {
	r.now = start.Add(time.Duration(c.T * float64(time.Second)))
	if c.Src == "master" {
		r.step(Tick{})
	}
	switch {
	case c.Src == "agent" && c.Dst == "master" && c.Kind == "request":
		to, _, _ := strings.Cut(strings.TrimPrefix(c.First, "POST /"), "/")
		r.step(AgentMessage{From: "slave(1)@127.0.0.1:5051", To: to, Message: r.message(c)})
	case c.Src == "scheduler" && c.Kind == "request":
		r.call(c, r.message(c).(*schedulerpb.Call))
	case c.Src == "scheduler" && c.Kind == "close":
		r.step(PeerClosed{c.Conn})
	case c.Src == "agent" && c.Dst == "master" && c.Kind == "close":
		r.step(Exited{"127.0.0.1:5051"})
	case c.Src == "master" && c.Dst == "agent" && c.Kind == "request":
		r.compareAgent(c)
	case c.Src == "master" && c.Dst == "scheduler" && c.Kind == "record":
		r.compareEvent(c)
	}
}

func (r *replay) call(c captured, call *schedulerpb.Call) {
	if call.GetType() == schedulerpb.Call_SUBSCRIBE {
		r.step(Subscribe{Peer: Peer{Conn: c.Conn, StreamID: "stream"}, Call: call.Subscribe, Constraints: r.m.cfg.Compile(call.Subscribe.OfferConstraints)})
		return
	}
	for _, list := range [][]*mesos.OfferID{call.Accept.GetOfferIds(), call.Decline.GetOfferIds()} {
		for i, id := range list {
			if own := r.offers[id.GetValue()]; own != nil {
				list[i] = own
			}
		}
	}
	r.step(SchedulerCall{Peer: Peer{StreamID: "stream"}, Call: call})
}

func (r *replay) step(in Input) {
	r.m.Step(r.now, in)
	for again := true; again; {
		r.m.Check()
		e := r.m.Effects()
		again = e.Persist != nil
		for _, msg := range e.Messages {
			r.collect(msg)
		}
		if e.Persist != nil {
			for _, p := range registry.Puts(e.Persist) {
				r.store[p.Key] = p.Value
			}
			maps.DeleteFunc(r.store, func(_ string, v []byte) bool { return v == nil })
			r.m.Step(r.now, Committed{e.Persist.Seq})
		}
		if !e.Wake.IsZero() && !e.Wake.After(r.now) {
			r.m.Step(r.now, Tick{})
			again = true
		}
	}
}

func (r *replay) collect(msg Message) {
	switch msg := msg.(type) {
	case ToProcess:
		if _, ping := msg.Message.(*messages.PingSlaveMessage); !ping {
			r.agent = append(r.agent, msg.Message)
		}
	case ToFramework:
		r.events[msg.Peer.Conn] = append(r.events[msg.Peer.Conn], msg.Event)
	}
}

func (r *replay) compareAgent(c captured) {
	want := r.message(c)
	if _, ping := want.(*messages.PingSlaveMessage); ping {
		return
	}
	if len(r.agent) == 0 {
		r.t.Errorf("%s #%d: the agent got nothing, want\n%s", r.where, c.N, prototext.Format(want))
		return
	}
	got := r.agent[0]
	r.agent = r.agent[1:]
	if _, ack := got.(*messages.StatusUpdateAcknowledgementMessage); ack && len(r.agent) > 0 && proto.Equal(r.agent[0], want) {
		// The scheduler acknowledged and left at once. There the second was
		// seen first.
		got, r.agent = r.agent[0], r.agent[1:]
	}
	r.same(c, got, want)
}

func (r *replay) compareEvent(c captured) {
	want := r.message(c).(*schedulerpb.Event)
	if want.GetType() == schedulerpb.Event_HEARTBEAT { // the shell's
		return
	}
	if want.GetType() == schedulerpb.Event_OFFERS && len(r.events[c.Conn]) == 0 {
		r.now = r.now.Add(time.Second) // its batches are at other times
		r.step(Tick{})
	}
	queue := r.events[c.Conn]
	i := slices.IndexFunc(queue, func(e *schedulerpb.Event) bool { return e.GetType() == want.GetType() })
	if i < 0 {
		r.t.Errorf("%s #%d: the scheduler got nothing, want\n%s", r.where, c.N, prototext.Format(want))
		return
	}
	for _, e := range queue[:i] { // offers may be sent at other times
		if e.GetType() != schedulerpb.Event_OFFERS && e.GetType() != schedulerpb.Event_RESCIND {
			r.t.Errorf("%s #%d: the scheduler got also\n%s", r.where, c.N, prototext.Format(e))
		}
	}
	got := queue[i]
	r.events[c.Conn] = queue[i+1:]
	r.same(c, got, want)
}

// same compares two messages, apart from what must differ.
func (r *replay) same(c captured, got, want proto.Message) {
	got, want = proto.Clone(got), proto.Clone(want)
	if e, ok := want.(*schedulerpb.Event); ok && e.Offers != nil {
		for i, o := range e.Offers.Offers {
			mine := got.(*schedulerpb.Event).Offers.Offers[i]
			r.offers[o.Id.GetValue()] = mine.Id
			o.Id = mine.Id
			slices.SortFunc(o.Resources, byName)
			slices.SortFunc(mine.Resources, byName)
		}
	}
	if e, ok := want.(*schedulerpb.Event); ok && e.Subscribed != nil {
		e.Subscribed.MasterInfo = forFrameworks(e.Subscribed.MasterInfo) // our one difference
	}
	timeless(got)
	timeless(want)
	if !proto.Equal(got, want) {
		r.t.Errorf("%s #%d: got\n%s\nwant\n%s", r.where, c.N, prototext.Format(got), prototext.Format(want))
	}
}

func byName(a, b *mesos.Resource) int { return cmp.Compare(a.GetName(), b.GetName()) }

func timeless(m proto.Message) {
	if e, ok := m.(*schedulerpb.Event); ok && e.Update != nil {
		e.Update.Status.Timestamp = nil
	}
}

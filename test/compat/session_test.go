package compat

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/test/cluster"
)

// TestSession repeats a captured session that makes every scheduler call, good
// and bad: what was sent is sent again, with the ids that this cluster has
// given, and what came back must come again, to the letter where ids, times and
// the machine have no part.
func TestSession(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	c := cluster.New(t, 1)
	r := &replay{t: t, cluster: c, ids: map[string]string{}}
	for step := range steps(string(golden.Read(t, "sched_calls/session.txt"))) {
		r.take(step)
		if t.Failed() {
			t.Fatalf("at: %.300s", step)
		}
	}
}

// steps yields the entries of a session: "<<< …" or ">>> …", over several lines.
func steps(session string) func(func(string) bool) {
	return func(yield func(string) bool) {
		var step strings.Builder
		for line := range strings.Lines(strings.ReplaceAll(session, "\r", "")) {
			if (strings.HasPrefix(line, "<<< ") || strings.HasPrefix(line, ">>> ")) && step.Len() > 0 {
				if !yield(strings.TrimSpace(step.String())) {
					return
				}
				step.Reset()
			}
			step.WriteString(line)
		}
		yield(strings.TrimSpace(step.String()))
	}
}

// replay is a session being repeated.
type replay struct {
	t       *testing.T
	cluster *cluster.Cluster
	stream  *cluster.Scheduler
	reply   cluster.Reply     // to the latest call
	ids     map[string]string // captured → ours
	pending string            // a call not sent yet
}

func (r *replay) take(step string) {
	r.t.Helper()
	text := step[4:]
	switch {
	case strings.HasPrefix(step, ">>> "):
		r.flush("")
		r.pending = text
	case strings.HasPrefix(text, "{"):
		r.flush("")
		r.event(text)
	case strings.HasPrefix(text, "HTTP/1.1"):
		r.flush("")
		checkHead(r.t, text, cluster.Reply{Status: 200, Header: r.stream.Header})
	case text == "last chunk":
		r.flush("")
		r.stream.AwaitEnd()
	default:
		r.flush(text)
		r.answer(text)
	}
}

// flush sends the call that is waiting. The answer it will get tells whether it
// was sent with another stream id.
func (r *replay) flush(answer string) {
	r.t.Helper()
	if r.pending == "" {
		return
	}
	var call J
	if err := json.Unmarshal([]byte(r.translate(r.pending)), &call); err != nil {
		r.t.Fatal(err)
	}
	r.pending = ""
	if call["type"] == "SUBSCRIBE" {
		s, err := cluster.Open(r.t, r.cluster.Master.URL, call)
		if err != nil {
			r.t.Fatal(err)
		}
		r.stream = s
		return
	}
	stream := r.stream.Stream
	if _, rest, ok := strings.Cut(answer, "The stream ID '"); ok {
		stream, _, _ = strings.Cut(rest, "'")
	}
	var err error
	r.reply, err = cluster.Post(r.cluster.Master.URL+"/api/v1/scheduler", map[string]string{"Mesos-Stream-Id": stream}, call)
	if err != nil {
		r.t.Fatal(err)
	}
}

// answer compares the answer to the latest call, such as "202 Accepted ".
func (r *replay) answer(text string) {
	r.t.Helper()
	var want int
	fmt.Sscan(text, &want)
	words := strings.SplitN(text, " ", 3)
	if want == 400 { // "400 Bad Request text"
		words = append(words[:2], strings.TrimPrefix(text, "400 Bad Request "))
	}
	body := ""
	if len(words) == 3 {
		body = r.translate(words[2])
	}
	if r.reply.Status != want || r.reply.Body != body {
		r.t.Errorf("answered %d %q, in Mesos %d %q", r.reply.Status, r.reply.Body, want, body)
	}
}

// event waits for an event like the captured one and compares the two.
func (r *replay) event(text string) {
	r.t.Helper()
	want, err := cluster.ParseJSON([]byte(text))
	if err != nil {
		r.t.Fatal(err)
	}
	kind := want.Text("type")
	if kind == "HEARTBEAT" && r.stream.ID != "" {
		return // the later ones come when they come
	}
	if kind == "OFFERS" {
		r.refuse(want)
	}
	got := r.stream.Await(kind, func(e cluster.Event) bool {
		return kind == "OFFERS" && offered(e.Value) == offered(want) || kind != "OFFERS" && e.Text("update.status.task_id.value") == want.Text("update.status.task_id.value") &&
			e.Text("update.status.state") == want.Text("update.status.state")
	})
	if kind == "SUBSCRIBED" {
		r.stream.ID = got.Text("subscribed.framework_id.value")
	}
	compareTexts(r.t, kind, [][]byte{[]byte(text)}, [][]byte{got.Raw}, streamRules)
	r.compare("", want.V, got.V)
}

// refuse gives offers back that are not of the size that the capture has next:
// when resources are offered again depends on the moment.
func (r *replay) refuse(want cluster.Value) {
	r.t.Helper()
	cluster.Eventually(r.t, cluster.Patience, func() error {
		for _, event := range r.stream.Waiting("OFFERS") {
			if offered(event.Value) == offered(want) {
				return nil
			}
			for _, offer := range event.List("offers.offers") {
				r.stream.Decline(offer, 0)
			}
			r.stream.Await("OFFERS", nil)
		}
		return fmt.Errorf("no offer of %d CPUs", offered(want)/1000)
	})
}

// offered is how many thousandths of CPUs an event offers.
func offered(event cluster.Value) int {
	cpus := 0.0
	for _, offer := range event.List("offers.offers") {
		for _, resource := range offer.List("resources") {
			if resource.Text("name") == "cpus" {
				cpus += resource.Number("scalar.value")
			}
		}
	}
	return int(math.Round(cpus * 1000))
}

// fresh are fields whose values belong to one run. A string learned there stands
// for the captured one from then on.
var fresh = map[string]bool{
	"id": true, "value of framework_id": true, "value of agent_id": true, "value of id": true,
	"value of container_id": true, "uuid": true, "timestamp": true, "executor_pid": true,
	"port": true, "pid": true, "version": true,
}

// compare compares two values, learning ids on the way.
func (r *replay) compare(path string, want, got any) {
	r.t.Helper()
	switch want := want.(type) {
	case map[string]any:
		object, _ := got.(map[string]any)
		for name, value := range want {
			r.compareField(path, name, value, object[name])
		}
	case []any:
		array, _ := got.([]any)
		if strings.HasSuffix(path, "master_info.capabilities") {
			return // JSON clients of old cannot read QUOTA_V2, so it is left out
		}
		if len(array) != len(want) {
			r.t.Errorf("%s has %d elements, in Mesos %d", path, len(array), len(want))
			return
		}
		want, array = byName(want), byName(array)
		for i := range want {
			r.compare(path, want[i], array[i])
		}
	case string:
		if expect := r.translate(want); expect != got && !sameWords(expect, got) {
			r.t.Errorf("%s is %q, in Mesos %q", path, got, expect)
		}
	default:
		if fmt.Sprint(want) != fmt.Sprint(got) {
			r.t.Errorf("%s is %v, in Mesos %v", path, got, want)
		}
	}
}

func (r *replay) compareField(path, name string, want, got any) {
	r.t.Helper()
	_, above := cut(path)
	if !fresh[name] && !fresh[name+" of "+above] {
		r.compare(join(path, name), want, got)
		return
	}
	theirs, isText := want.(string)
	ours, _ := got.(string)
	if isText {
		r.ids[theirs] = ours
	} else if object, ok := want.(map[string]any); ok {
		r.compare(join(path, name), object, got)
	}
}

// byName sorts resources and attributes: their order means nothing, and that of
// Mesos comes from how its allocator splits them.
func byName(array []any) []any {
	name := func(element any) string {
		v := cluster.Value{V: element}
		if v.At("type") == nil || v.At("name") == nil {
			return ""
		}
		return v.Text("name") + " " + fmt.Sprint(v.At("disk"), v.At("reservations"))
	}
	return slices.SortedStableFunc(slices.Values(array), func(a, b any) int { return strings.Compare(name(a), name(b)) })
}

// sameWords says whether a message lists the same resources in another order.
func sameWords(want string, got any) bool {
	text, ok := got.(string)
	words := func(s string) []string {
		return slices.Sorted(strings.FieldsSeq(strings.ReplaceAll(s, ";", "")))
	}
	return ok && strings.HasPrefix(want, "Total resources ") && slices.Equal(words(want), words(text))
}

// cut splits off the last name of a path.
func cut(path string) (before, last string) {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// translate puts this run's ids in the place of the captured ones, the longest
// first, as one may be the beginning of another.
func (r *replay) translate(text string) string {
	longestFirst := func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }
	var table []string
	for _, theirs := range slices.SortedFunc(maps.Keys(r.ids), longestFirst) {
		table = append(table, theirs, r.ids[theirs])
	}
	return strings.NewReplacer(table...).Replace(text)
}

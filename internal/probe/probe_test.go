package probe

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestScenarios runs the files of testdata. A "task" block starts the probes of
// the task in it, a TaskInfo's text, "after=1m" its launch, "last" with the status
// that follows a line of dashes; each line of a "run" block is one step:
//
//	after 5s                      time passes
//	check|health STATUS           a result, as a CheckStatusInfo's text
//	check|health failed WHY       one that found nothing
//	check|health unavailable
//	stop
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := &world{t: t, now: epoch}
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
			w.out.Reset()
			if d.Cmd == "task" {
				w.start(d)
			} else {
				for line := range strings.Lines(d.Input) {
					w.step(strings.TrimSpace(line))
				}
			}
			return w.out.String()
		})
	})
}

type world struct {
	t   *testing.T
	now time.Time
	p   *Probes
	out strings.Builder
}

func (w *world) start(d *datadriven.TestData) {
	text, lastText, resumed := strings.Cut(d.Input, "last\n")
	info, last, age := &mesos.TaskInfo{}, (*mesos.TaskStatus)(nil), "0s"
	w.parse(text, info)
	if resumed {
		last = &mesos.TaskStatus{}
		w.parse(lastText, last)
	}
	if d.HasArg("after") {
		d.ScanArgs(w.t, "after", &age)
	}
	w.p = Start(w.now, w.now.Add(-w.duration(age)), info, last)
	w.show(nil)
}

func (w *world) step(line string) {
	word, rest, _ := strings.Cut(line, " ")
	var news *News
	switch word {
	case "after":
		w.now = w.now.Add(w.duration(rest))
	case "stop":
		w.p.Stop()
	default:
		news = w.p.Done(w.now, w.result(word, rest))
	}
	w.show(news)
}

func (w *world) result(kind, text string) Result {
	r := Result{Kind: map[string]Kind{"check": Check, "health": Health}[kind]}
	switch why, failed := strings.CutPrefix(text, "failed "); {
	case failed:
		r.Failure = why
	case text != "unavailable":
		r.Status = &mesos.CheckStatusInfo{}
		w.parse(text, r.Status)
	}
	if why := Explain(r); why != "" {
		fmt.Fprintf(&w.out, "failed: %s\n", why)
	}
	return r
}

func (w *world) show(news *News) {
	if news != nil && news.Kind == Check {
		fmt.Fprintf(&w.out, "tell: %s\n", oneLine(news.Status))
	}
	if news != nil && news.Kind == Health {
		fmt.Fprintf(&w.out, "tell: healthy %v, kill %v\n", news.Healthy, news.Kill)
	}
	for _, r := range w.p.Due(w.now) {
		fmt.Fprintf(&w.out, "probe: %s %s%s%s timeout %s\n", r.Name(), r.Command.GetValue(), r.URL, r.Address, r.Timeout)
	}
	if at := w.p.Wake(); !at.IsZero() {
		fmt.Fprintf(&w.out, "wake in %s\n", at.Sub(w.now))
	}
}

func (w *world) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// oneLine returns a message's text without the space that prototext puts in at
// random.
func oneLine(s *mesos.CheckStatusInfo) string {
	return strings.ReplaceAll(prototext.MarshalOptions{}.Format(s), "  ", " ")
}

func (w *world) parse(text string, m proto.Message) {
	if err := (prototext.UnmarshalOptions{AllowPartial: true}).Unmarshal([]byte(text), m); err != nil {
		w.t.Fatalf("%q: %v", text, err)
	}
}

func TestSeconds(t *testing.T) {
	for _, tc := range []struct {
		in   float64
		want time.Duration
	}{
		{0, 0},
		{1.5, 1500 * time.Millisecond},
		{-1, 0},
		{math.NaN(), 0},
		{math.Inf(1), forever},
		{1e300, forever},
		{math.Inf(-1), 0},
		{1e-9, time.Nanosecond},
	} {
		if got := seconds(tc.in); got != tc.want {
			t.Errorf("seconds(%v) = %v, want %v", tc.in, got, tc.want)
		}
	}
}

package httpd_test

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/wire"
)

func TestGoldenMetrics(t *testing.T) {
	for _, name := range []string{"master/metrics_snapshot.json", "agent/metrics_snapshot.json"} {
		want := golden.Read(t, name)
		var metrics map[string]float64
		must(t, json.Unmarshal(want, &metrics))
		metrics["not/a/number"] = math.NaN()
		if got := metricsText(metrics); !bytes.Equal(got, want) {
			at := 0
			for at < len(got) && at < len(want) && got[at] == want[at] {
				at++
			}
			t.Errorf("%s: %.60q; want %.60q", name, got[at:], want[at:])
		}
	}
}

func metricsText(metrics map[string]float64) []byte {
	var b bytes.Buffer
	out := wire.NewWriter(&b)
	httpd.WriteMetrics(out, metrics)
	_ = out.Flush()
	return b.Bytes()
}

func TestMetricNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.0", 11: "11.0", -1.5: "-1.5", 1e20: "100000000000000000000.0", 1e-7: "1e-7", 1e21: "1e21", 0.000001: "0.000001",
	} {
		if got := string(metricsText(map[string]float64{"a": v})); got != `{"a":`+want+`}` {
			t.Errorf("%v: %s", v, got)
		}
	}
}

// Two snapshots a second are served; the others wait, and those that would
// wait too long are refused.
func TestSnapshotsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := httpd.MetricsSnapshot(func(*http.Request) (map[string]float64, error) { return map[string]float64{"a": 1}, nil })
		start := time.Now()
		for i := range 5 {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics/snapshot", http.NoBody))
			if got, want := time.Since(start), time.Duration(i)*500*time.Millisecond; got != want || w.Body.String() != `{"a":1.0}` {
				t.Errorf("request %d: %q after %v; want %v", i, w.Body, got, want)
			}
		}
		codes := make(chan int, 200)
		for range 200 {
			go func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics/snapshot", http.NoBody))
				codes <- w.Code
			}()
		}
		count := map[int]int{}
		for range 200 {
			count[<-codes]++
		}
		if count[200] != 120 || count[429] != 80 {
			t.Errorf("%v", count)
		}
	})
}

func TestPrometheus(t *testing.T) {
	w := httptest.NewRecorder()
	httpd.Prometheus(w, httptest.NewRequest(http.MethodGet, "/metrics/prometheus", http.NoBody), map[string]float64{
		"master/tasks_running": 3, "allocator/mesos/allocation_run_ms/p99": 0.5, "a-b": 1, "a/b": 2, "x/é": 1e300,
	})
	want := strings.Join([]string{
		"# TYPE mesos_a_b untyped", "mesos_a_b 1",
		"# TYPE mesos_allocator_mesos_allocation_run_ms_p99 untyped", "mesos_allocator_mesos_allocation_run_ms_p99 0.5",
		"# TYPE mesos_master_tasks_running untyped", "mesos_master_tasks_running 3",
		"# TYPE mesos_x__ untyped", "mesos_x__ 1e+300", "",
	}, "\n")
	if w.Body.String() != want || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("%s", w.Body)
	}
}

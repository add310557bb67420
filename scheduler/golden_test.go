package scheduler_test

import (
	"bytes"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/meseta-project/meseta/internal/golden"
)

// What a Mesos master sent to a framework is read as events, without the
// heartbeats.
func TestGoldenStream(t *testing.T) {
	_, stream, ok := bytes.Cut(golden.Read(t, "sched1/stream.raw"), []byte("\r\n\r\n"))
	if !ok {
		t.Fatal("no end of the answer's head")
	}
	synctest.Test(t, func(t *testing.T) {
		n, m := newNetwork(t), newMaster()
		m.answer = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Mesos-Stream-Id", "15491d07-9113-4e7b-9663-dc3a29b97b58")
			w.Header().Set("Content-Type", r.Header.Get("Accept"))
			w.Write(stream)
			return true
		}
		n.serve(first, m)
		cfg := n.config(first)
		cfg.JSON, cfg.ManualAcknowledge = true, true
		c, events, _ := start(t, cfg)
		var kinds []string
		for len(kinds) < 6 {
			event := <-events
			kinds = append(kinds, event.GetType().String())
			if offers := event.GetOffers().GetOffers(); len(kinds) == 2 && (len(offers) != 1 || len(offers[0].GetResources()) == 0) {
				t.Errorf("offers %v", offers)
			}
		}
		if want := []string{"SUBSCRIBED", "OFFERS", "UPDATE", "UPDATE", "UPDATE"}; !slices.Equal(kinds[:5], want) {
			t.Errorf("events %q", kinds)
		}
		if id := c.FrameworkID().GetValue(); id != "7e863958-db2e-450e-9186-a871e3b1dd73-0001" {
			t.Errorf("framework id %q", id)
		}
	})
}

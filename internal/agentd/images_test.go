package agentd

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
)

// disk is a store of images that notes how often it was pruned.
type disk struct {
	used   float64
	err    error
	pruned [][]*mesos.Image
}

func (d *disk) Usage() (float64, error) { return d.used, d.err }

func (d *disk) Prune(excluded []*mesos.Image) error {
	d.pruned = append(d.pruned, excluded)
	return d.err
}

func TestPruneImages(t *testing.T) {
	one, other := &mesos.Image{}, &mesos.Image{}
	store := &disk{}
	s := &Server{images: store, cfg: Config{ImageGC: &ImageGC{Excluded: []*mesos.Image{one}}}}
	w := httptest.NewRecorder()
	if err := s.pruneImages(w, &agentpb.Call_PruneImages{ExcludedImages: []*mesos.Image{other}}); err != nil || w.Code != 200 || w.Body.Len() > 0 {
		t.Error(err, w)
	}
	if len(store.pruned) != 1 || len(store.pruned[0]) != 2 {
		t.Errorf("pruned with %v", store.pruned)
	}
	store.err = errors.New("disk on fire")
	if err := s.pruneImages(httptest.NewRecorder(), nil); !errors.Is(err, store.err) {
		t.Error(err)
	}
	w = httptest.NewRecorder()
	if err := (&Server{}).pruneImages(w, nil); err != nil || w.Code != 200 {
		t.Error("an agent without images:", err, w)
	}
}

func TestWatchImages(t *testing.T) {
	for _, test := range []struct {
		used float64
		want int
	}{{0.5, 0}, {0.9, 0}, {0.95, 3}} {
		synctest.Test(t, func(t *testing.T) {
			store := &disk{used: test.used}
			s := &Server{images: store, cfg: Config{ImageGC: &ImageGC{Headroom: 0.1, Interval: time.Hour}}, log: slog.New(slog.DiscardHandler)}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour+time.Minute)
			defer cancel()
			s.watchImages(ctx)
			if len(store.pruned) != test.want {
				t.Errorf("disk at %f: pruned %d times, want %d", test.used, len(store.pruned), test.want)
			}
		})
	}
}

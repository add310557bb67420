package agentd

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	"github.com/meseta-project/meseta/internal/httpd"
)

// Images is the store of container images, as far as an agent looks after it.
type Images interface {
	// Prune removes what no container uses, but for the images excluded.
	Prune(excluded []*mesos.Image) error
	// Usage returns the used part of the store's disk, from 0 to 1.
	Usage() (float64, error)
}

// ImageGC is --image_gc_config.
type ImageGC struct {
	Headroom float64       // part of the store's disk to keep free, from 0 to 1
	Interval time.Duration // between two looks at the disk
	Excluded []*mesos.Image
}

// pruneImages is the call PRUNE_IMAGES. It answers when the images are gone.
func (s *Server) pruneImages(w http.ResponseWriter, call *agentpb.Call_PruneImages) error {
	excluded := call.GetExcludedImages()
	if s.cfg.ImageGC != nil {
		excluded = slices.Concat(excluded, s.cfg.ImageGC.Excluded)
	}
	if s.images != nil {
		if err := s.images.Prune(excluded); err != nil {
			return err
		}
	}
	httpd.Empty(w, http.StatusOK)
	return nil
}

// watchImages prunes images when their disk fills, if the agent is to.
func (s *Server) watchImages(ctx context.Context) {
	if s.images == nil || s.cfg.ImageGC == nil {
		return
	}
	ticker := time.NewTicker(s.cfg.ImageGC.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.pruneIfFull()
		}
	}
}

func (s *Server) pruneIfFull() {
	used, err := s.images.Usage()
	if err == nil && used+s.cfg.ImageGC.Headroom > 1 {
		s.log.Info("the disk of images is full, unused ones are removed", slog.Float64("used", used))
		err = s.images.Prune(s.cfg.ImageGC.Excluded)
	}
	if err != nil {
		s.log.Warn("cannot look after the images", attrErr(err))
	}
}

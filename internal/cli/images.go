package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agentd"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/image"
	"github.com/meseta-project/meseta/internal/wire"
)

// imageFlags are what operators set about container images.
type imageFlags struct {
	Providers []string
	Registry  string
	Mirrors   []string
	StoreDir  string
	Config    string
	Backend   string
	GC        *agentd.ImageGC
}

const dockerConfig = "docker_config"

func (f *imageFlags) define(set *flags.Set) {
	set.Group("Images")
	set.Strings(&f.Providers, "image_providers", nil, "Kinds of images that containers may have: DOCKER, which stands for OCI's as well. Without, none may.").Optional()
	set.String(&f.Backend, "image_provisioner_backend", "", "How a root is made of an image's layers: overlay, or copy, which works everywhere. The default is overlay where that works.").Optional()
	set.String(&f.Registry, "docker_registry", "https://registry-1.docker.io", "Where images are that name no registry: a registry's URL, or an absolute path of a folder with archives NAME:TAG.tar, as docker save makes them, or OCI layouts NAME:TAG.")
	set.Strings(&f.Mirrors, "docker_registry_mirrors", nil, "Registries that are asked before the one that an image's name means, in this order: URLs, of mirrors of --docker_registry, or REGISTRY=URL for one of another. It is a flag of Meseta's own.").Optional()
	set.Path(&f.StoreDir, "docker_store_dir", "/tmp/mesos/store/docker", "Folder of images.")
	set.Path(&f.Config, dockerConfig, "", "Credentials for registries: the absolute path of a Docker configuration file, config.json or .dockercfg, or its text.").Optional()
	set.JSON(f.gc, "image_gc_config", `When to remove images that nobody uses: {"image_disk_headroom": 0.1, "image_disk_watch_interval": {"nanoseconds": 3600000000000}, "excluded_images": []}. Without, only when an operator asks for it.`)
}

// gc reads --image_gc_config.
func (f *imageFlags) gc(text []byte) error {
	var c struct {
		Headroom *float64                      `json:"image_disk_headroom"`
		Interval *struct{ Nanoseconds *int64 } `json:"image_disk_watch_interval"`
		Excluded json.RawMessage               `json:"excluded_images"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	switch {
	case c.Headroom == nil || *c.Headroom < 0 || *c.Headroom > 1:
		return errors.New("image_disk_headroom: want a number from 0 to 1")
	case c.Interval == nil || c.Interval.Nanoseconds == nil || *c.Interval.Nanoseconds <= 0:
		return errors.New("image_disk_watch_interval: want {\"nanoseconds\": N} with N above 0")
	}
	gc := &agentd.ImageGC{Headroom: *c.Headroom, Interval: time.Duration(*c.Interval.Nanoseconds)}
	if len(c.Excluded) > 0 {
		var err error
		gc.Excluded, err = wire.UnmarshalJSONArray(c.Excluded, func() *mesos.Image { return new(mesos.Image) })
		if err != nil {
			return fmt.Errorf("excluded_images: %w", err)
		}
	}
	f.GC = gc
	return nil
}

// openImages opens the store of images, if the agent is to have one.
func (f *agentFlags) openImages(log *slog.Logger) (*image.Store, error) {
	if len(f.Images.Providers) == 0 {
		return nil, nil //nolint:nilnil // none is an answer
	}
	for _, p := range f.Images.Providers {
		if p != "DOCKER" && p != "docker" {
			return nil, fmt.Errorf("--image_providers: %s is not supported: the one provider is DOCKER", p)
		}
	}
	auth, err := f.Images.auth()
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(f.Images.StoreDir)
	if err != nil {
		return nil, err
	}
	return image.Open(image.Config{
		Dir: dir, Containers: filepath.Join(f.WorkDir, "provisioner"), Registry: strings.TrimPrefix(f.Images.Registry, "file://"),
		Mirrors: f.Images.Mirrors, Auth: auth, Backend: f.Images.Backend, Stall: f.FetcherStall, Log: log,
	})
}

func (f *imageFlags) auth() ([]byte, error) {
	if !filepath.IsAbs(f.Config) {
		return []byte(f.Config), nil
	}
	text, err := os.ReadFile(f.Config)
	if err != nil {
		return nil, fmt.Errorf("--docker_config: %w", err)
	}
	return text, nil
}

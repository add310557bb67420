// Package image turns the names of container images into root file systems: it
// gets images from registries, archives and OCI layouts, unpacks each layer once,
// and puts a container's root together from the layers.
//
//	Provision ── pull (once per image) ── unpack (once per layer) ── mount | copy
//	Destroy   ── unmount, remove
//	Prune     ── images and layers that nobody uses
//
// On disk, below Config.Dir:
//
//	images/HASH.json         what is known of an image, by the hash of its name
//	layers/sha256-ID/        a layer's files, ID being the digest of its tar file
//	staging/                 what is being made or removed; emptied at start
//
// and below Config.Containers, for each container:
//
//	containers/ID/NAME.json  what the root is made of
//	containers/ID/NAME/      the root, where it is mounted
//	containers/ID/NAME.*     what overlay needs beside it
//
// Whatever appears under images and layers was made in staging and renamed, so it
// is whole. Nobody but the agent's user may enter either folder, since layers hold
// files with set-user-id bits.
package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/ids"
)

// Limits bound what an image may be. What exceeds them is refused.
type Limits struct {
	LayerBytes int64 // unpacked size of one layer
	LayerFiles int   // entries of one layer
	Layers     int
}

// DefaultLimits are wide enough for every image that is meant to be run.
var DefaultLimits = Limits{LayerBytes: 64 << 30, LayerFiles: 2_000_000, Layers: 127}

// Config is what a store needs.
type Config struct {
	Dir        string // --docker_store_dir, absolute
	Containers string // folder of the roots of containers, absolute
	// Registry is --docker_registry: the registry of images that name none, or an
	// absolute path, which holds NAME:TAG.tar files, or OCI layouts NAME:TAG.
	Registry string
	// Mirrors is --docker_registry_mirrors: registries that are asked first, as URL for
	// the one of names that have none, and as REGISTRY=URL for others.
	Mirrors []string
	// Auth is --docker_config: a Docker configuration file's text, or nil.
	Auth    []byte
	Backend string // --image_provisioner_backend: "overlay", "copy", or "" for the best that works
	Limits  Limits
	// Stall ends a pull that makes no headway for so long; 0 is a minute.
	Stall time.Duration
	// Transport carries requests to registries; nil is the default one.
	Transport http.RoundTripper
	Log       *slog.Logger
}

// Store is the images of one agent. It may be used by many goroutines.
type Store struct {
	cfg     Config
	auth    keychain
	mirrors []mirror
	backend backend
	images  flights[*Manifest]
	layers  flights[struct{}]

	mu   sync.Mutex // held while it is decided what is in use
	pins map[string]int

	pulls    httpd.Timing // how long pulls took that did not fail
	unmounts atomic.Int64 // roots that could not be removed
}

// Metrics adds what an agent tells of images.
func (s *Store) Metrics(to map[string]float64) {
	s.pulls.Metrics("containerizer/mesos/provisioner/docker_store/image_pull_ms", to)
	to["containerizer/mesos/provisioner/remove_container_errors"] = float64(s.unmounts.Load())
}

// Roots returns how many containers have a root of their own, that is not just an
// image among their volumes.
func (s *Store) Roots() int {
	all, err := filepath.Glob(filepath.Join(s.cfg.Containers, "containers", "*", defaultRoot+".json"))
	if err != nil {
		return 0 // the pattern is sound, unless the folder's name has marks of patterns
	}
	return len(all)
}

// defaultRoot is the name of a container's own root among those that it has.
const defaultRoot = "rootfs"

// Request asks for a root file system.
type Request struct {
	Container ids.ContainerID
	Name      string // of the root among those of the container: "rootfs" if ""
	Image     *mesos.Image
	// Progress is told of a pull, if there is one, now and then, by another
	// goroutine; nil: nobody is.
	Progress func(Progress)
}

// Progress is how far a pull has come.
type Progress struct {
	Image         string
	Layer, Layers int   // the layer being unpacked, from 1
	Bytes         int64 // of it, unpacked so far
}

// String is a line for people.
func (p Progress) String() string {
	return fmt.Sprintf("Pulling image '%s': layer %d of %d, %d MB unpacked", p.Image, p.Layer, p.Layers, p.Bytes>>20)
}

// Root is a root file system that is ready for use.
type Root struct {
	Path    string  // absolute
	Runtime Runtime // what the image says of how to run it
}

// Open opens the store, and clears what an earlier life did not finish.
func Open(cfg Config) (*Store, error) {
	auth, err := parseConfig(cfg.Auth, true)
	if err != nil {
		return nil, fmt.Errorf("--docker_config: %w", err)
	}
	if cfg.Limits == (Limits{}) {
		cfg.Limits = DefaultLimits
	}
	cfg.Transport = bounded{orDefault(cfg.Transport), cmp.Or(cfg.Stall, time.Minute)}
	cfg.Registry = orElse(cfg.Registry, "https://registry-1.docker.io")
	host, _ := defaultRegistry(cfg.Registry)
	mirrors, err := parseMirrors(cfg.Mirrors, host)
	if err != nil {
		return nil, fmt.Errorf("--docker_registry_mirrors: %w", err)
	}
	s := &Store{cfg: cfg, auth: auth, mirrors: mirrors, pins: map[string]int{}}
	if err := s.folders(); err != nil {
		return nil, err
	}
	s.backend, err = chooseBackend(cfg.Backend, s.path("staging"))
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Store) folders() error {
	if err := os.RemoveAll(s.path("staging")); err != nil {
		return fmt.Errorf("clear the store of images: %w", err)
	}
	for _, dir := range []string{s.path("staging"), s.path("images"), s.path("layers"), s.cfg.Containers} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the store of images: %w", err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			return fmt.Errorf("close the store of images to others: %w", err)
		}
	}
	return nil
}

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.cfg.Dir}, parts...)...)
}

// Backend returns how roots are put together: "overlay" or "copy".
func (s *Store) Backend() string { return s.backend.name() }

// Provision makes a container's root from an image, which is pulled first if it
// is not there. ctx ends a pull that nobody else waits for.
func (s *Store) Provision(ctx context.Context, r *Request) (*Root, error) {
	name, err := nameOf(r.Image)
	if err != nil {
		return nil, err
	}
	place, err := s.place(r.Container, r.Name)
	if err != nil {
		return nil, err
	}
	manifest, unpin, err := s.get(ctx, name, r)
	if err != nil {
		return nil, fmt.Errorf("get image '%s': %w", name, err)
	}
	defer unpin()
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the container's root: %w", err)
	}
	// Written first: the layers are in use from now on, also for the next life.
	if err := writeJSON(place+".json", manifest); err != nil {
		return nil, err
	}
	if err := s.backend.provision(ctx, place, s.layerPaths(manifest)); err != nil {
		return nil, errors.Join(fmt.Errorf("put the root of image '%s' together: %w", name, err), s.Destroy(r.Container))
	}
	return &Root{Path: place, Runtime: manifest.Runtime}, nil
}

// Find returns a root that an earlier call, or life, has made for the container.
func (s *Store) Find(id ids.ContainerID, name string) (*Root, bool) {
	place, err := s.place(id, name)
	if err != nil {
		return nil, false
	}
	manifest := new(Manifest)
	if err := readJSON(place+".json", manifest); err != nil {
		return nil, false
	}
	return &Root{Path: place, Runtime: manifest.Runtime}, true
}

// place returns the path of a root.
func (s *Store) place(id ids.ContainerID, name string) (string, error) {
	if name == "" {
		name = defaultRoot
	}
	dir := s.containerDir(id)
	if !filepath.IsLocal(name) || filepath.Base(name) != name {
		return "", fmt.Errorf("root %q of container %s: the name must be that of one folder", name, id)
	}
	return filepath.Join(dir, name), nil
}

// containerDir is flat: a nested container's folder is named PARENT.CHILD.
func (s *Store) containerDir(id ids.ContainerID) string {
	return filepath.Join(s.cfg.Containers, "containers", filepath.Base(string(id)))
}

// Written returns the folder below which what a container writes in its roots will be,
// "" if that is not apart from the images' own files.
func (s *Store) Written(id ids.ContainerID) string {
	if s.Backend() != (overlay{}).name() {
		return ""
	}
	return s.containerDir(id)
}

// Destroy removes the roots of a container that has ended. A second time there
// is nothing to do.
func (s *Store) Destroy(id ids.ContainerID) error {
	err := s.destroy(id)
	if err != nil {
		s.unmounts.Add(1)
	}
	return err
}

func (s *Store) destroy(id ids.ContainerID) error {
	dir := s.containerDir(id)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the root of container %s: %w", id, err)
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := unmount(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the root of container %s: %w", id, err)
	}
	return nil
}

// Recover removes the roots of containers that are not alive any more.
func (s *Store) Recover(alive func(ids.ContainerID) bool) error {
	entries, err := os.ReadDir(filepath.Join(s.cfg.Containers, "containers"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the roots of containers: %w", err)
	}
	var failed error
	for _, e := range entries {
		if id := ids.ContainerID(e.Name()); !alive(id) {
			failed = errors.Join(failed, s.Destroy(id))
		}
	}
	return failed
}

func nameOf(image *mesos.Image) (reference, error) {
	if image.GetType() != mesos.Image_DOCKER {
		return reference{}, fmt.Errorf("image type %s is not supported: give a DOCKER image, which may be in OCI's format", image.GetType())
	}
	return parseReference(image.GetDocker().GetName())
}

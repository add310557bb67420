package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Manifest is what is remembered of an image.
type Manifest struct {
	Name    string
	Digest  string   // of the image's manifest
	Layers  []string // digests of their tar files, the lowest first
	Runtime Runtime
}

// configMax bounds an image's configuration, and manifestMax its manifest.
const (
	configMax   = 8 << 20
	manifestMax = 4 << 20
)

// get returns an image whose layers are all there, and will stay until unpin is
// called.
func (s *Store) get(ctx context.Context, ref reference, r *Request) (m *Manifest, unpin func(), err error) {
	secret := r.Image.GetDocker().GetConfig().GetValue().GetData()
	auth, err := parseConfig(secret, false)
	if err != nil {
		return nil, nil, err
	}
	if r.Image.GetCached() {
		if m, unpin, ok := s.stored(ref); ok {
			return m, unpin, nil
		}
	}
	key := ref.String() + "\x00" + digestOf(secret) // others' credentials may not do
	for {
		m, err = s.images.do(ctx, key, r.Progress, func(ctx context.Context, tell func(Progress)) (*Manifest, error) {
			begin := time.Now()
			m, err := s.pull(ctx, ref, auth, tell)
			if err == nil {
				s.pulls.Add(time.Since(begin))
			}
			return m, err
		})
		if err != nil {
			return nil, nil, err
		}
		unpin := s.pin(m.Layers)
		if s.complete(m) {
			return m, unpin, nil
		}
		unpin() // pruned in between
	}
}

// stored returns an image that is there already.
func (s *Store) stored(ref reference) (m *Manifest, unpin func(), ok bool) {
	m = new(Manifest)
	if err := readJSON(s.imageFile(ref.String()), m); err != nil {
		return nil, nil, false
	}
	unpin = s.pin(m.Layers)
	if !s.complete(m) {
		unpin()
		return nil, nil, false
	}
	return m, unpin, true
}

// pin keeps layers from being removed.
func (s *Store) pin(layers []string) (unpin func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range layers {
		s.pins[l]++
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, l := range layers {
			if s.pins[l]--; s.pins[l] == 0 {
				delete(s.pins, l)
			}
		}
	}
}

func (s *Store) complete(m *Manifest) bool {
	for _, path := range s.layerPaths(m) {
		if _, err := os.Lstat(path); err != nil {
			return false
		}
	}
	return true
}

// pullFrom gets an image and what is missing of its layers.
func (s *Store) pullFrom(ctx context.Context, from source, ref reference, tell func(Progress)) (*Manifest, error) {
	img, err := from.open()
	if err != nil {
		return nil, err
	}
	m, err := s.describe(img, ref)
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, fmt.Errorf("read the list of layers: %w", err)
	}
	if len(layers) != len(m.Layers) {
		return nil, fmt.Errorf("the image has %d layers and names %d", len(layers), len(m.Layers))
	}
	defer s.pin(m.Layers)()
	for i, layer := range layers {
		report := func(bytes int64) {
			tell(Progress{Image: ref.String(), Layer: i + 1, Layers: len(layers), Bytes: bytes})
		}
		if err := s.layer(ctx, m.Layers[i], layer, report); err != nil {
			return nil, fmt.Errorf("layer %d of %d: %w", i+1, len(layers), err)
		}
	}
	return m, writeJSON(s.imageFile(m.Name), m)
}

// describe reads what an image is made of, within the limits.
func (s *Store) describe(img v1.Image, ref reference) (*Manifest, error) {
	raw, err := img.Manifest()
	if err != nil {
		return nil, fmt.Errorf("read the image's manifest: %w", err)
	}
	if raw.Config.Size > configMax || len(raw.Layers) > s.cfg.Limits.Layers {
		return nil, fmt.Errorf("the image has %d layers and a configuration of %d bytes; at most %d and %d are taken",
			len(raw.Layers), raw.Config.Size, s.cfg.Limits.Layers, configMax)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read the image's configuration: %w", err)
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, fmt.Errorf("read the image's digest: %w", err)
	}
	m := &Manifest{Name: ref.String(), Digest: digest.String(), Runtime: runtimeOf(&config.Config)}
	for _, l := range config.RootFS.DiffIDs {
		if b, err := hex.DecodeString(l.Hex); err != nil || l.Algorithm != "sha256" || len(b) != sha256.Size {
			return nil, fmt.Errorf("layer %q: its digest is not sha256", l)
		}
		m.Layers = append(m.Layers, l.Hex)
	}
	return m, nil
}

func platform() v1.Platform { return v1.Platform{OS: "linux", Architecture: runtime.GOARCH} }

// local finds an image in a folder: as the archive NAME:TAG.tar that docker save
// writes, or the OCI layout NAME:TAG.
func (s *Store) local(ref reference) (v1.Image, error) {
	path, err := ref.file(s.cfg.Registry)
	if err != nil {
		return nil, err
	}
	archive := path + ".tar"
	if _, err := os.Stat(archive); err == nil {
		return fromArchive(archive, ref)
	}
	if _, err := os.Stat(filepath.Join(path, "index.json")); err == nil {
		return fromLayout(path)
	}
	return nil, fmt.Errorf("there is neither an archive %s nor an OCI layout %s", archive, path)
}

// fromArchive takes the image of that name, or the only one there is.
func fromArchive(path string, ref reference) (v1.Image, error) {
	opener := func() (io.ReadCloser, error) { return os.Open(path) }
	manifest, err := tarball.LoadManifest(opener)
	if err != nil {
		return nil, fmt.Errorf("read %s (docker save makes what is needed): %w", path, err)
	}
	if len(manifest) == 1 {
		return tarball.Image(opener, nil)
	}
	tag, err := name.NewTag(ref.String())
	if err != nil {
		return nil, err
	}
	return tarball.Image(opener, &tag)
}

func fromLayout(path string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(path)
	if err != nil {
		return nil, fmt.Errorf("read the OCI layout %s: %w", path, err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read the index of the OCI layout %s: %w", path, err)
	}
	for _, d := range list.Manifests {
		if d.MediaType.IsImage() && (d.Platform == nil || d.Platform.Satisfies(platform())) {
			return index.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("the OCI layout %s holds no image for %s", path, platform())
}

func (s *Store) imageFile(name string) string {
	return s.path("images", digestOf([]byte(name))+".json")
}

func (s *Store) layerPath(digest string) string { return s.path("layers", layerPrefix+digest) }

// layerPrefix begins the names of our layers: what else is in the folder, from a
// Mesos agent perhaps, is left alone.
const layerPrefix = "sha256-"

func (s *Store) layerPaths(m *Manifest) []string {
	var out []string
	for _, l := range m.Layers {
		out = append(out, s.layerPath(l))
	}
	return out
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func readJSON(path string, to any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

// writeJSON writes a file that is whole whenever it is there.
func writeJSON(path string, from any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, ignoreMissing(os.Remove(f.Name()))))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

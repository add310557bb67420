package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Prune removes the images that no container uses, but for those excluded, and
// the layers that none of the rest has. Names that cannot be read are an error,
// and nothing is removed then.
func (s *Store) Prune(excluded []*mesos.Image) error {
	keep := map[string]bool{}
	for _, image := range excluded {
		if image.GetType() != mesos.Image_DOCKER {
			continue // there are none of these
		}
		name, err := nameOf(image)
		if err != nil {
			return fmt.Errorf("excluded image: %w", err)
		}
		keep[name.String()] = true
	}
	aside, err := os.MkdirTemp(s.path("staging"), "gc-")
	if err != nil {
		return fmt.Errorf("prune images: %w", err)
	}
	err = s.setAside(keep, aside)
	return errors.Join(err, removeTree(aside))
}

// setAside moves away what is not used. It is quick; the removal is not, and others
// can go on meanwhile.
func (s *Store) setAside(keep map[string]bool, aside string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	layers := map[string]bool{}
	for l := range s.pins {
		layers[l] = true
	}
	if err := s.inUse(keep, layers); err != nil {
		return err
	}
	// Images go first: none may name layers that are gone.
	if err := s.asideImages(keep, layers, aside); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.path("layers"))
	if err != nil {
		return fmt.Errorf("prune layers: %w", err)
	}
	for _, e := range entries {
		digest, ours := strings.CutPrefix(e.Name(), layerPrefix)
		if !ours || layers[digest] {
			continue
		}
		if err := os.Rename(s.layerPath(digest), filepath.Join(aside, e.Name())); err != nil {
			return fmt.Errorf("prune a layer: %w", err)
		}
	}
	return nil
}

// inUse adds the images and layers of the containers that there are.
func (s *Store) inUse(images, layers map[string]bool) error {
	files, err := filepath.Glob(filepath.Join(s.cfg.Containers, "containers", "*", "*.json"))
	if err != nil {
		return fmt.Errorf("look for the images in use: %w", err)
	}
	for _, file := range files {
		m := new(Manifest)
		if err := readJSON(file, m); err != nil {
			if ignoreMissing(err) == nil {
				continue // it has just ended
			}
			return fmt.Errorf("look for the images in use: %w", err)
		}
		images[m.Name] = true
		for _, l := range m.Layers {
			layers[l] = true
		}
	}
	return nil
}

// asideImages moves the images away that are not to be kept, and adds the layers
// of the others.
func (s *Store) asideImages(keep, layers map[string]bool, aside string) error {
	files, err := filepath.Glob(s.path("images", "*.json"))
	if err != nil {
		return fmt.Errorf("prune images: %w", err)
	}
	for _, file := range files {
		m := new(Manifest)
		if err := readJSON(file, m); err != nil || !keep[m.Name] { // one that cannot be read is of no use
			if err := os.Rename(file, filepath.Join(aside, filepath.Base(file))); err != nil {
				return fmt.Errorf("prune an image: %w", err)
			}
			continue
		}
		for _, l := range m.Layers {
			layers[l] = true
		}
	}
	return nil
}

// Usage returns the used part of the disk that the store is on, from 0 to 1.
func (s *Store) Usage() (float64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.cfg.Dir, &st); err != nil {
		return 0, fmt.Errorf("measure the disk of %s: %w", s.cfg.Dir, err)
	}
	if st.Blocks == 0 {
		return 0, nil
	}
	return float64(st.Blocks-st.Bfree) / float64(st.Blocks), nil
}

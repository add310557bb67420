package containerizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/meseta-project/meseta/internal/ids"
)

// Box is what is remembered of a container that was asked for through the
// agent's API: nobody else would know of it after the agent's restart.
type Box struct {
	ID      ids.ContainerID `json:"-"`
	Sandbox string          `json:"sandbox"`
	Within  string          `json:"within,omitempty"` // see Spec
	User    string          `json:"user,omitempty"`
	Session bool            `json:"session,omitempty"`
}

// boxFile is the file, in a container's runtime folder, that makes it a box.
const boxFile = "box.json"

// Remember keeps what is known of a box until [Containerizer.Cleanup].
func (c *Containerizer) Remember(box Box) error {
	dir := c.runtimeDir(box.ID)
	text, err := json.Marshal(box)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the runtime folder: %w", err)
	}
	fresh := filepath.Join(dir, boxFile+".new")
	if err := os.WriteFile(fresh, text, 0o600); err != nil {
		return fmt.Errorf("remember container %s: %w", box.ID, err)
	}
	return os.Rename(fresh, filepath.Join(dir, boxFile))
}

// Boxes returns what [Containerizer.Remember] kept, parents before children.
func (c *Containerizer) Boxes() ([]Box, error) {
	var boxes []Box
	err := filepath.WalkDir(c.cfg.RuntimeDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != boxFile {
			return ignoreMissing(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return ignoreMissing(err)
		}
		box := Box{ID: c.idOf(filepath.Dir(path))}
		if err := json.Unmarshal(text, &box); err != nil {
			return fmt.Errorf("read %s (remove it to forget the container): %w", path, err)
		}
		boxes = append(boxes, box)
		return nil
	})
	return boxes, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// idOf is the inverse of runtimeDir.
func (c *Containerizer) idOf(dir string) ids.ContainerID {
	path := strings.TrimPrefix(dir, filepath.Join(c.cfg.RuntimeDir, "containers")+"/")
	return ids.ContainerID(strings.ReplaceAll(path, "/containers/", "."))
}

// Discard deletes the sandbox of a box that has ended, and forgets it.
func (c *Containerizer) Discard(box Box) error {
	if err := removeSandbox(box); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the sandbox of container %s: %w", box.ID, err)
	}
	return c.Cleanup(box.ID)
}

// removeSandbox follows no link that leads out of the folder that the box is in.
func removeSandbox(box Box) error {
	if box.Within == "" {
		return os.RemoveAll(box.Sandbox)
	}
	within, err := os.OpenRoot(box.Within)
	if err != nil {
		return err
	}
	defer within.Close()
	path, err := filepath.Rel(box.Within, box.Sandbox)
	if err != nil {
		return err
	}
	return within.RemoveAll(path)
}

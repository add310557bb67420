package volume

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/meseta-project/meseta/internal/ids"
)

// record is what is written down of a container: Mesos's message, and what it lacks.
type record struct {
	Volumes []recordedUse `json:"volumes"`
	Boot    string        `json:"boot,omitempty"` // of the machine, after which nothing is mounted any more
}

type recordedUse struct {
	Driver     string `json:"driver"`
	Name       string `json:"name"`
	ID         string `json:"id,omitempty"`
	Mountpoint string `json:"mountpoint,omitempty"`
}

func (v *Volumes) dir(id ids.ContainerID) string { return filepath.Join(v.cfg.Dir, string(id)) }

// note writes down what a container uses.
func (v *Volumes) note(id ids.ContainerID, u *user, uses []use) error {
	r := record{Volumes: make([]recordedUse, 0, len(uses)), Boot: v.boot}
	for _, of := range uses {
		r.Volumes = append(r.Volumes, recordedUse{of.driver, of.name, of.ID, of.At})
	}
	text, err := json.Marshal(r)
	if err == nil {
		err = write(v.dir(id), text)
	}
	if err != nil {
		return fmt.Errorf("write down the Docker volumes of container %s: %w", id, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	u.uses = uses
	return nil
}

func write(dir string, text []byte) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	path := filepath.Join(dir, "volumes")
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (v *Volumes) forget(id ids.ContainerID) error {
	if err := os.RemoveAll(v.dir(id)); err != nil {
		return fmt.Errorf("forget the Docker volumes of container %s: %w", id, err)
	}
	return nil
}

// Recover reads what earlier lives have written down, and returns the containers that
// are not known: they are for [Volumes.Release]. What Mesos's agent has mounted for
// containers in others, which its files do not tell from the rest, is kept while
// containers of its run.
func (v *Volumes) Recover(known func(ids.ContainerID) bool, foreign bool) (orphans []ids.ContainerID, err error) {
	entries, err := os.ReadDir(v.cfg.Dir)
	if err != nil {
		return nil, err
	}
	var all error
	for _, e := range entries {
		id := ids.ContainerID(e.Name())
		u, err := v.read(id)
		if err != nil {
			all = errors.Join(all, err)
			continue
		}
		v.mu.Lock()
		v.users[id] = u
		v.mu.Unlock()
		if !known(id) && (!foreign || !u.foreign()) {
			orphans = append(orphans, id)
		}
	}
	return orphans, all
}

// foreign reports whether Mesos's agent has mounted what a container uses.
func (u *user) foreign() bool { return len(u.uses) > 0 && u.uses[0].ID == "" }

// read reads what a container uses. An agent, or the machine, may have died before
// there was anything.
func (v *Volumes) read(id ids.ContainerID) (*user, error) {
	u := &user{mounting: make(chan struct{})}
	close(u.mounting)
	path := filepath.Join(v.dir(id), "volumes")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return u, nil
	}
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil { // written before the plugin was asked
		u.until = info.ModTime().Add(v.cfg.MountTimeout)
	}
	if u.uses, err = v.parse(text); err != nil {
		return nil, fmt.Errorf("read %s (unmount what it names and remove it): %w", path, err)
	}
	return u, nil
}

func (v *Volumes) parse(text []byte) ([]use, error) {
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, err
	}
	uses := make([]use, 0, len(r.Volumes))
	for _, of := range r.Volumes {
		u := use{key: key{of.Driver, of.Name}, ID: of.ID}
		if r.Boot == v.boot {
			u.At = of.Mountpoint
		}
		uses = append(uses, u)
	}
	return uses, nil
}

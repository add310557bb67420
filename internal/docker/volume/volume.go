// Package volume has volumes of Docker's plugins mounted on the machine, for the
// containers that use them. It speaks the plugins' own protocol; no Docker Engine is
// needed.
//
// A volume is mounted for the first container that uses it and unmounted after the
// last. What each container uses is written down before a plugin is asked, so that
// what a crash left is found again:
//
//	DIR/CONTAINER/volumes   Mesos's file of the isolator docker/volume, with two more fields
package volume

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/ids"
)

// How long a plugin may take, as with Mesos.
const (
	mountTimeout   = 2 * time.Minute
	unmountTimeout = 10 * time.Minute
)

// How long to wait before a plugin is asked again for what it may be about to do.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// Config is what all volumes of an agent share.
type Config struct {
	Dir     string  // what is written down is below; it is no other agent's
	Folders Folders // of plugins; none: those of the Docker Engine
	// MountTimeout and UnmountTimeout are how long a plugin may take; 0: as with Mesos.
	MountTimeout, UnmountTimeout time.Duration
	Log                          *slog.Logger
}

// Volumes are those that containers use. It is safe for concurrent use.
type Volumes struct {
	cfg   Config
	lock  *os.File // of the folder
	boot  string
	mu    sync.Mutex
	users map[ids.ContainerID]*user
	locks map[key]*keyLock
	waits sync.WaitGroup // for plugins
}

// A key is what a volume is known by.
type key struct{ driver, name string }

// A user is a container. What it uses changes by who mounts for it, and after that by
// who has its lock, and under that of Volumes.
type user struct {
	sync.Mutex
	uses []use
	// until is until when a plugin may be busy with what an earlier life of the agent has
	// asked of it; zero: with nothing.
	until time.Time
	// mounting is closed when nothing is asked for the container any more.
	mounting chan struct{}
}

// A use is a container's use of a volume. All uses of a volume at a time have the
// same ID.
type use struct {
	key
	ID string // what the plugin knows it by; "": Mesos's agent asked, whose plugins were not told one
	At string // where it is; "": it may be mounted, or not
}

// keyLock lets one at a time ask for a volume.
type keyLock struct {
	sync.Mutex
	wanted int
}

// Open takes the folder of what is written down.
func Open(cfg Config) (*Volumes, error) {
	if cfg.Folders.Sockets == "" {
		cfg.Folders = dockersFolders
	}
	cfg.MountTimeout, cfg.UnmountTimeout = cmp.Or(cfg.MountTimeout, mountTimeout), cmp.Or(cfg.UnmountTimeout, unmountTimeout)
	v := &Volumes{cfg: cfg, users: map[ids.ContainerID]*user{}, locks: map[key]*keyLock{}}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	v.boot = string(boot[:len(boot)-1])
	if v.lock, err = os.Open(cfg.Dir); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(v.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is another agent's, whose volumes this one would unmount", cfg.Dir), v.lock.Close())
	}
	return v, nil
}

// Check refuses volumes that no container can have, in Mesos's words.
func Check(id ids.ContainerID, wanted []*mesos.Volume_Source_DockerVolume) error {
	seen := map[key]bool{}
	for _, w := range wanted {
		k := key{w.GetDriver(), w.GetName()}
		switch {
		case w.Driver == nil:
			return fmt.Errorf("The volume driver is not specified for volume '%s' with container %s", k.name, id) //nolint:staticcheck // as Mesos words it
		case k.name == "":
			return errors.New("a Docker volume needs a name")
		case seen[k]:
			return fmt.Errorf("Found duplicate docker volume with driver '%s' and name '%s'", k.driver, k.name) //nolint:staticcheck // as Mesos words it
		}
		seen[k] = true
	}
	return nil
}

// Mount has volumes that were checked be mounted for a container and returns where they
// are. When ctx is done it returns at once; a plugin that is asked for something is let
// finish, and [Volumes.Release] waits for that.
func (v *Volumes) Mount(ctx context.Context, id ids.ContainerID, wanted []*mesos.Volume_Source_DockerVolume) ([]string, error) {
	u := &user{mounting: make(chan struct{})}
	v.mu.Lock()
	if v.users[id] != nil {
		v.mu.Unlock()
		return nil, fmt.Errorf("container %s has volumes already", id)
	}
	v.users[id] = u
	v.mu.Unlock()
	var at []string
	var failed error
	go func() {
		defer close(u.mounting)
		for _, w := range wanted {
			if failed = context.Cause(ctx); failed != nil {
				return
			}
			var where string
			if where, failed = v.mount(id, u, w); failed != nil {
				return
			}
			at = append(at, where)
		}
	}()
	select {
	case <-u.mounting:
		return at, failed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// mount has one volume be mounted.
func (v *Volumes) mount(id ids.ContainerID, u *user, w *mesos.Volume_Source_DockerVolume) (string, error) {
	k := key{w.GetDriver(), w.GetName()}
	defer v.alone(k)()
	ctx, cancel := context.WithTimeoutCause(context.Background(), v.cfg.MountTimeout, fmt.Errorf("'mount' timed out in %s", flags.FormatDuration(v.cfg.MountTimeout)))
	defer cancel()
	mine := use{key: k}
	if other, ok := v.other(id, k); ok && other.ID != "" {
		mine.ID, mine.At = other.ID, other.At
	}
	if mine.At != "" {
		return mine.At, v.note(id, u, append(slices.Clone(u.uses), mine))
	}
	if mine.ID == "" {
		mine.ID = newID()
	}
	p, err := v.cfg.Folders.find(k.driver)
	if err != nil {
		return "", err
	}
	if err := p.activate(ctx); err != nil {
		return "", err
	}
	if err := p.make(ctx, k.name, options(w)); err != nil {
		return "", err
	}
	before := u.uses
	if err := v.note(id, u, append(slices.Clone(before), mine)); err != nil {
		return "", err
	}
	if mine.At, err = p.mount(ctx, k.name, mine.ID); err != nil {
		if refused(err) { // so there is nothing to unmount
			err = errors.Join(err, v.note(id, u, before))
		}
		return "", err
	}
	return mine.At, v.note(id, u, append(slices.Clone(before), mine))
}

func options(w *mesos.Volume_Source_DockerVolume) map[string]string {
	all := map[string]string{}
	for _, p := range w.GetDriverOptions().GetParameter() {
		all[p.GetKey()] = p.GetValue()
	}
	return all
}

func newID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Release unmounts what a container and those in it have used and no other uses, and
// forgets it. One that uses nothing is no error. What a plugin does not unmount counts as
// used no more, and is tried again in the agent's next life. What it may be about to mount,
// asked by an earlier life, is waited for behind the caller's back.
func (v *Volumes) Release(id ids.ContainerID) error {
	v.mu.Lock()
	var of []ids.ContainerID // an earlier life may have died before anything else of them was known
	for user := range v.users {
		if user == id || strings.HasPrefix(string(user), string(id)+".") {
			of = append(of, user)
		}
	}
	v.mu.Unlock()
	var all error
	for _, id := range of {
		err := v.release(id)
		if errors.Is(err, errPending) {
			v.waits.Go(func() { v.releaseLater(id) })
			continue
		}
		all = errors.Join(all, err)
	}
	return all
}

// errPending says that a plugin may be about to mount what it says is not mounted.
var errPending = errors.New("it may be about to be mounted")

func (v *Volumes) releaseLater(id ids.ContainerID) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		time.Sleep(wait)
		err := v.release(id)
		if err != nil && !errors.Is(err, errPending) {
			v.cfg.Log.Warn("cannot unmount Docker volumes", slog.String("container", string(id)), slog.Any("error", err))
		}
		if !errors.Is(err, errPending) {
			return
		}
	}
}

func (v *Volumes) release(id ids.ContainerID) error {
	v.mu.Lock()
	u := v.users[id]
	v.mu.Unlock()
	if u == nil {
		return nil
	}
	<-u.mounting
	u.Lock()
	defer u.Unlock()
	var all error
	for _, mine := range slices.Clone(u.uses) {
		all = errors.Join(all, v.releaseNow(id, u, mine))
	}
	if errors.Is(all, errPending) {
		return all
	}
	v.mu.Lock()
	delete(v.users, id)
	v.mu.Unlock()
	if all != nil {
		return all // what is written down is for the agent's next life
	}
	return v.forget(id)
}

func (v *Volumes) releaseNow(id ids.ContainerID, u *user, mine use) error {
	defer v.alone(mine.key)()
	with := func(of ...use) []use {
		return append(slices.DeleteFunc(slices.Clone(u.uses), func(of use) bool { return of.key == mine.key }), of...)
	}
	if _, used := v.other(id, mine.key); !used {
		p, err := v.cfg.Folders.find(mine.driver)
		if err != nil {
			return err
		}
		unsure := mine.At == ""
		if !unsure { // from now on
			if err := v.note(id, u, with(use{key: mine.key, ID: mine.ID})); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeoutCause(context.Background(), v.cfg.UnmountTimeout, fmt.Errorf("'unmount' timed out in %s", flags.FormatDuration(v.cfg.UnmountTimeout)))
		defer cancel()
		err = p.unmount(ctx, mine.name, mine.ID)
		switch {
		case unsure && refused(err) && time.Now().Before(u.until):
			return errPending
		case unsure && refused(err): // so it never was mounted
		case refused(err):
			return errors.Join(err, v.note(id, u, with(mine)))
		case err != nil:
			return err
		}
	}
	return v.note(id, u, with())
}

// other returns the use of a volume by another container, with the place where it is
// if one knows that.
func (v *Volumes) other(id ids.ContainerID, k key) (found use, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for user, u := range v.users {
		for _, of := range u.uses {
			if user != id && of.key == k && (!ok || found.At == "") {
				found, ok = of, true
			}
		}
	}
	return found, ok
}

// alone waits until nobody else asks for a volume, and keeps others from it until what
// it returns is called.
func (v *Volumes) alone(k key) (done func()) {
	v.mu.Lock()
	l := v.locks[k]
	if l == nil {
		l = &keyLock{}
		v.locks[k] = l
	}
	l.wanted++
	v.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		v.mu.Lock()
		defer v.mu.Unlock()
		if l.wanted--; l.wanted == 0 {
			delete(v.locks, k)
		}
	}
}

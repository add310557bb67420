package containerizer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/secret"
)

// secretMax bounds the file of a secret, which is in memory.
const secretMax = 1 << 20

// WithSecrets returns an environment with the secrets of a command on top.
func WithSecrets(env []string, command *mesos.CommandInfo) ([]string, error) {
	own := map[string]string{}
	for _, v := range command.GetEnvironment().GetVariables() {
		if v.GetType() != mesos.Environment_Variable_SECRET {
			continue
		}
		data, err := secret.Value(v.GetSecret())
		if err != nil {
			return nil, fmt.Errorf("environment variable '%s': %w", v.GetName(), err)
		}
		own[v.GetName()] = string(data)
	}
	if len(own) == 0 {
		return env, nil
	}
	var all []string
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if _, secret := own[name]; !secret {
			all = append(all, v)
		}
	}
	for name, value := range own {
		all = append(all, name+"="+value)
	}
	return all, nil
}

// A secretFile is a file that is to hold a secret when the container starts, and
// then only in the container.
type secretFile struct {
	path  string
	data  []byte
	write bool // its owner may
}

// secret returns where the file of a secret will be, in memory. For the time that
// its place is looked for there is an empty file.
func (m *mounter) secret(i int, v *mesos.Volume) (string, error) {
	data, err := secret.Value(v.GetSource().GetSecret())
	if err != nil {
		return "", err
	}
	if len(data) > secretMax {
		return "", fmt.Errorf("the secret has %d bytes; %d are the most", len(data), secretMax)
	}
	file := filepath.Join(m.c.secretDir(m.spec), strconv.Itoa(i))
	m.spec.secrets = append(m.spec.secrets, secretFile{file, data, v.GetMode() == mesos.Volume_RW})
	return file, nil
}

func (c *Containerizer) secretDir(spec *Spec) string {
	return filepath.Join(c.runtimeDir(spec.ID), "secrets")
}

// writeSecrets makes the files of a container's secrets, in memory that is never
// swapped. Who runs in the container may read them, whoever it is. done takes them
// away again: the container keeps its own.
func (c *Containerizer) writeSecrets(spec *Spec, owner *launcher.User) (done func() error, err error) {
	if len(spec.secrets) == 0 {
		return func() error { return nil }, nil
	}
	dir := c.secretDir(spec)
	done = func() error { return dropSecrets(dir) }
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of secrets: %w", err)
	}
	if err := unix.Mount("secrets", dir, "ramfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return nil, errors.Join(fmt.Errorf("make the memory of secrets: %w", err), done())
	}
	for _, s := range spec.secrets {
		if err := s.make(owner); err != nil {
			return nil, errors.Join(fmt.Errorf("write a secret: %w", err), done())
		}
	}
	return done, nil
}

func (s *secretFile) make(owner *launcher.User) error {
	mode := fs.FileMode(0o444)
	if s.write {
		mode = 0o644
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(s.data)
	return errors.Join(err, f.Chmod(mode), give(f, owner), f.Close())
}

// dropSecrets takes away what is left in a folder of secrets, if anything is.
func dropSecrets(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("take the secrets of a container away: %w", err)
	}
	return os.RemoveAll(dir)
}

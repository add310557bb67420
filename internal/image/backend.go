package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// backend puts a root together from layers.
type backend interface {
	name() string
	// provision makes place, which is not there yet, from layers, the lowest first.
	provision(ctx context.Context, place string, layers []string) error
}

// chooseBackend returns the one asked for, or the best that works here.
func chooseBackend(asked, scratch string) (backend, error) {
	switch asked {
	case "copy":
		return copier{}, nil
	case "overlay", "":
	default:
		return nil, fmt.Errorf("--image_provisioner_backend=%s: the backends are overlay and copy", asked)
	}
	err := tryOverlay(scratch)
	switch {
	case err == nil:
		return overlay{}, nil
	case asked == "":
		return copier{}, nil
	default:
		return nil, fmt.Errorf("--image_provisioner_backend=overlay does not work here (use copy, or a --docker_store_dir on another file system): %w", err)
	}
}

func tryOverlay(scratch string) error {
	dir, err := os.MkdirTemp(scratch, "try-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lower := filepath.Join(dir, "lower")
	if err := os.Mkdir(lower, 0o755); err != nil {
		return err
	}
	place := filepath.Join(dir, "root")
	if err := (overlay{}).provision(context.Background(), place, []string{lower}); err != nil {
		return err
	}
	return unmount(place)
}

// overlay stacks the layers by the kernel's overlay file system.
type overlay struct{}

func (overlay) name() string { return "overlay" }

// optionsMax is what the kernel takes of options, less a little.
const optionsMax = 4000

func (overlay) provision(_ context.Context, place string, layers []string) error {
	for _, dir := range []string{place, place + ".upper", place + ".work"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if len(layers) == 0 {
		return nil
	}
	// The root folder is the upper one, as seen from inside.
	if err := likeFolder(place+".upper", layers[len(layers)-1]); err != nil {
		return err
	}
	options, closeAll, err := overlayOptions(place, layers)
	if err != nil {
		return err
	}
	defer closeAll()
	if err := unix.Mount("overlay", place, "overlay", unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount overlay: %w", err)
	}
	return nil
}

func overlayOptions(place string, layers []string) (options string, closeAll func(), err error) {
	for _, path := range append([]string{place}, layers...) {
		if strings.ContainsAny(path, `:,\`) {
			return "", nil, fmt.Errorf(`overlay takes no path with ":", "," or "\": choose another folder than %s`, path)
		}
	}
	lower := slices.Clone(layers)
	slices.Reverse(lower)
	text := func() string {
		return "lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + place + ".upper,workdir=" + place + ".work"
	}
	if len(text()) <= optionsMax {
		return text(), func() {}, nil
	}
	var open []*os.File
	closeAll = func() {
		for _, f := range open {
			f.Close()
		}
	}
	for i, path := range lower { // as numbers, they are short
		f, err := os.Open(path)
		if err != nil {
			closeAll()
			return "", nil, err
		}
		open = append(open, f)
		lower[i] = fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	}
	return text(), closeAll, nil
}

func likeFolder(dir, model string) error {
	var st unix.Stat_t
	if err := unix.Stat(model, &st); err != nil {
		return err
	}
	return errors.Join(os.Lchown(dir, int(st.Uid), int(st.Gid)), unix.Chmod(dir, st.Mode&0o7777))
}

// stackMax bounds how many mounts on one place are undone.
const stackMax = 16

// unmount undoes what is mounted on a folder, if anything is. Who still uses it
// goes on; nobody else finds it.
func unmount(place string) error {
	for range stackMax {
		err := unix.Unmount(place, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EPERM) && os.Geteuid() != 0:
			return nil
		case err != nil:
			return fmt.Errorf("unmount %s: %w", place, err)
		}
	}
	return fmt.Errorf("unmount %s: there are more mounts on it than can be", place)
}

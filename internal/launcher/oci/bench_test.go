package oci_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/oci"
	"github.com/meseta-project/meseta/internal/launcher/posix"
)

// launchers are those that figures are wanted of.
func launchers(b *testing.B, run func(b *testing.B, l launcher.Launcher)) {
	b.Run("posix", func(b *testing.B) {
		l, err := posix.New()
		if err != nil {
			b.Fatal(err)
		}
		run(b, l)
	})
	for _, name := range starters {
		b.Run(name, func(b *testing.B) { run(b, open(b, config(b, name))) })
	}
}

func sleeper(b *testing.B, id string) *launcher.Spec {
	b.Helper()
	dir := b.TempDir()
	return &launcher.Spec{
		ID: id, Path: "/bin/sleep", Args: []string{"/bin/sleep", "1000"}, Env: []string{"PATH=/bin"}, Dir: dir,
		Status: filepath.Join(dir, "status"), Resources: launcher.Resources{CPUs: 0.1, Mem: 32},
	}
}

func destroy(b *testing.B, l launcher.Launcher, id string, p launcher.Process) {
	if err := p.Kill(); err != nil {
		b.Error(err)
	}
	if _, err := p.Wait(); err != nil {
		b.Error(err)
	}
	if err := l.Release(id); err != nil {
		b.Error(err)
	}
}

// BenchmarkLaunch is from the wish to the running process.
func BenchmarkLaunch(b *testing.B) {
	launchers(b, func(b *testing.B, l launcher.Launcher) {
		spec := sleeper(b, "bench")
		for b.Loop() {
			p, err := l.Fork(spec)
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			destroy(b, l, spec.ID, p)
			b.StartTimer()
		}
	})
}

// BenchmarkBare is the same bundle started by the runtime alone, as by hand, for
// what the launcher adds.
func BenchmarkBare(b *testing.B) {
	for _, name := range oci.Known {
		b.Run(name, func(b *testing.B) {
			l := open(b, config(b, name))
			bare, ok := l.Config().Starter.(*oci.Runtime)
			if !ok {
				b.Fatal(l.Config().Starter)
			}
			spec := sleeper(b, "bare")
			bundle := l.Bundle(spec.ID)
			rootfs, leave := ownMounts(b, bare.HideUnified)
			spec.Rootfs = rootfs
			o := l.Config().Options
			o.Isolation = without(o.Isolation, "namespaces/pid")
			s, err := oci.Build(spec, bundle, &o)
			if err != nil {
				b.Fatal(err)
			}
			if err := oci.MakeBundle(bundle, s); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				// Without pipes, which the container would keep open.
				if err := exec.Command(bare.Path, "--root", bare.State, "run", "--detach", "--bundle", bundle, spec.ID).Run(); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if out, err := exec.Command(bare.Path, "--root", bare.State, "delete", "--force", spec.ID).CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				b.StartTimer()
			}
			leave()
			if err := l.Release(spec.ID); err != nil {
				b.Error(err)
			}
		})
	}
}

// ownMounts gives the caller's thread mounts of its own, which go with it, and returns
// where the machine's root is to be seen until leave is called. As the shim does it
// hides from crun that both versions of control groups have controllers.
func ownMounts(b *testing.B, hideUnified bool) (root string, leave func()) {
	b.Helper()
	root, err := os.MkdirTemp("", "root") //nolint:usetesting // which would remove all that is seen there
	if err != nil {
		b.Fatal(err)
	}
	runtime.LockOSThread() // and never given back
	err = errors.Join(
		unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("/", root, "", unix.MS_BIND, ""),
	)
	if hideUnified {
		err = errors.Join(err, unix.Mount("none", unified, "tmpfs", 0, ""))
	}
	if err != nil {
		b.Fatal(err)
	}
	return root, func() {
		err := unix.Unmount(root, unix.MNT_DETACH)
		if hideUnified {
			err = errors.Join(err, unix.Unmount(unified, unix.MNT_DETACH))
		}
		if err := errors.Join(err, os.Remove(root)); err != nil { // no more than the folder
			b.Error(err)
		}
	}
}

func without(names []string, one string) []string {
	var rest []string
	for _, n := range names {
		if n != one {
			rest = append(rest, n)
		}
	}
	return rest
}

// BenchmarkThousand launches containers, eight at a time as an agent would, and
// destroys them: MESETA_CONTAINERS of them, a thousand unless told.
func BenchmarkThousand(b *testing.B) {
	n := 1000
	if text := os.Getenv("MESETA_CONTAINERS"); text != "" {
		if _, err := fmt.Sscan(text, &n); err != nil {
			b.Fatal(err)
		}
	}
	launchers(b, func(b *testing.B, l launcher.Launcher) {
		for b.Loop() {
			running := make([]launcher.Process, n)
			start := b.Elapsed()
			eightAtATime(n, func(i int) {
				p, err := l.Fork(sleeper(b, fmt.Sprintf("t%d", i)))
				if err != nil {
					b.Error(err)
				}
				running[i] = p
			})
			up := b.Elapsed()
			eightAtATime(n, func(i int) {
				if running[i] != nil {
					destroy(b, l, fmt.Sprintf("t%d", i), running[i])
				}
			})
			b.ReportMetric((up - start).Seconds(), "s-launch")
			b.ReportMetric((b.Elapsed() - up).Seconds(), "s-destroy")
		}
	})
}

func eightAtATime(n int, do func(i int)) {
	var work sync.WaitGroup
	tokens := make(chan struct{}, 8)
	for i := range n {
		tokens <- struct{}{}
		work.Go(func() {
			do(i)
			<-tokens
		})
	}
	work.Wait()
}

package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// machine is a virtual one. It sees the files of the machine that it runs on, and
// changes none of them.
type machine struct {
	kernel  string // a folder with boot and lib/modules
	version string
	dir     string // what is given to it
	accel   string // kvm, or tcg: every instruction is emulated
	systemd string // a folder with systemd, which is the first process then; "" for none
	options string // of the kernel's command line, for systemd
}

const (
	qemu      = "qemu-system-x86_64"
	virtiofsd = "/usr/lib/qemu/virtiofsd"
	busybox   = "/bin/busybox"
)

// needMachine returns a machine to be started, or ends the test where there can be none.
func needMachine(t *testing.T) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		cluster.Unavailable(t, "only root can give files to a virtual machine")
	}
	for _, program := range []string{qemu, virtiofsd, busybox, "mkfs.xfs"} {
		if _, err := exec.LookPath(program); err != nil {
			cluster.Unavailable(t, "make prepare: %v", err)
		}
	}
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{kernel: filepath.Join(root, "bin/kernel"), dir: t.TempDir(), accel: accelerator()}
	kernels, err := filepath.Glob(filepath.Join(m.kernel, "boot/vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		cluster.Unavailable(t, "make prepare: no kernel in %s: %v", m.kernel, err)
	}
	m.version = strings.TrimPrefix(filepath.Base(kernels[0]), "vmlinuz-")
	return m
}

// accelerator is KVM where a processor has it. There are machines with a /dev/kvm for
// kernels of their own only, which never gets through with another one.
func accelerator() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || !regexp.MustCompile(`\b(vmx|svm)\b`).Match(text) {
		return "tcg"
	}
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return "tcg"
	}
	kvm.Close()
	return "kvm"
}

// modules are what it takes before the root is there; the kernel asks for others itself.
var modules = []string{"virtio_pci", "virtiofs", "virtio_blk", "overlay", "loop"}

// order returns the files of modules, each after those that it depends on.
func (m *machine) order() ([]string, error) {
	top := filepath.Join(m.kernel, "lib/modules", m.version)
	text, err := os.ReadFile(filepath.Join(top, "modules.dep"))
	if err != nil {
		return nil, err
	}
	needs, paths := map[string][]string{}, map[string]string{}
	for line := range strings.Lines(string(text)) {
		path, rest, _ := strings.Cut(line, ":")
		needs[path] = strings.Fields(rest) // the nearest first
		paths[strings.TrimSuffix(filepath.Base(path), ".ko")] = path
	}
	var files []string
	for _, name := range modules {
		path, ok := paths[name]
		if !ok {
			return nil, fmt.Errorf("%s has no module %s", m.version, name)
		}
		for _, path := range slices.Backward(append([]string{path}, needs[path]...)) {
			if path = filepath.Join(top, path); !slices.Contains(files, path) {
				files = append(files, path)
			}
		}
	}
	return files, nil
}

// initramfs writes what the kernel starts with.
func (m *machine) initramfs() (string, error) {
	files, err := m.order()
	if err != nil {
		return "", err
	}
	a := &archive{}
	for _, dir := range []string{"bin", "dev", "layer", "modules", "outside", "root"} {
		a.add(dir, fs.ModeDir|0o755, nil)
	}
	var names strings.Builder
	for _, file := range append(files, busybox, "testdata/init") {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		name := map[string]string{busybox: "bin/busybox", "testdata/init": "init"}[file]
		if name == "" {
			name = "modules/" + filepath.Base(file)
			fmt.Fprintf(&names, "/%s\n", name)
		}
		a.add(name, 0o755, text)
	}
	a.add("modules/order", 0o644, []byte(names.String()))
	a.add("dir", 0o644, []byte(m.dir+"\n"))
	a.add("more", 0o644, []byte(m.systemd+"\n"))
	path := filepath.Join(m.dir, "initramfs")
	return path, os.WriteFile(path, a.close(), 0o600)
}

// archive is a cpio archive, as kernels unpack it.
type archive struct {
	bytes.Buffer
	inode int
}

func (a *archive) add(name string, mode fs.FileMode, text []byte) {
	a.inode++
	kind := 0o100000
	if mode.IsDir() {
		kind = 0o040000
	}
	a.entry(a.inode, kind|int(mode.Perm()), name, text)
}

func (a *archive) entry(inode, mode int, name string, text []byte) {
	fmt.Fprintf(a, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", inode, mode, 0, 0, 1, 0, len(text), 0, 0, 0, 0, len(name)+1, 0)
	a.WriteString(name + "\x00")
	a.pad()
	a.Write(text)
	a.pad()
}

func (a *archive) pad() { a.Write(make([]byte, -a.Len()&3)) }

func (a *archive) close() []byte {
	a.entry(0, 0, "TRAILER!!!", nil)
	return a.Bytes()
}

// A job is a command to run inside.
type job struct {
	name, dir string
	command   []string
}

// run boots the machine, has it do the jobs, and returns what was on its console. It
// is ended after a while, whatever it does.
func (m *machine) run(t *testing.T, within time.Duration, jobs []job) string {
	t.Helper()
	initramfs, err := m.initramfs()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range m.scripts() {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var script strings.Builder
	for _, j := range jobs {
		fmt.Fprintf(&script, "job %s %s", j.name, j.dir)
		for _, word := range j.command {
			script.WriteString(" '" + word + "'")
		}
		script.WriteString("\n")
	}
	disk := filepath.Join(m.dir, "disk")
	for _, err := range []error{
		os.WriteFile(filepath.Join(m.dir, "jobs"), []byte(script.String()), 0o600),
		os.WriteFile(filepath.Join(m.dir, "modules"), []byte(filepath.Join(m.kernel, "lib/modules", m.version)), 0o600),
		os.WriteFile(disk, nil, 0o600), os.Truncate(disk, 4<<30),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	console := &bytes.Buffer{}
	cmd := exec.CommandContext(ctx, qemu, m.args(initramfs, disk, m.files(t))...)
	cmd.Stdout = console
	if (*own != "" || *all) && testing.Verbose() {
		cmd.Stdout = io.MultiWriter(console, os.Stdout) // to look on, however long it takes
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Run(); err != nil {
		t.Errorf("the machine: %v", errors.Join(err, ctx.Err()))
	}
	if used := cmd.ProcessState; used != nil {
		t.Logf("it used %v of the processors' time, however long others kept them", (used.UserTime() + used.SystemTime()).Round(time.Second))
	}
	return strings.ReplaceAll(console.String(), "\r\n", "\n")
}

// scripts are those that the machine runs, the first first.
func (m *machine) scripts() []string {
	if m.systemd != "" {
		return []string{"guest", "systemd", "work"}
	}
	return []string{"guest", "work"}
}

// files starts who gives files to the machine, and returns the socket that it does so at.
func (m *machine) files(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(m.dir, "files")
	cluster.Start(t, "virtiofsd", nil, virtiofsd, "--socket-path="+socket, "-o", "source=/", "-o", "cache=always", "-o", "sandbox=chroot")
	cluster.Eventually(t, cluster.Patience, func() error {
		_, err := os.Stat(socket)
		return err
	})
	return socket
}

func (m *machine) args(initramfs, disk, socket string) []string {
	const memory = "2048M"
	cpu := map[string]string{"kvm": "host", "tcg": "max"}[m.accel]
	return []string{
		"-accel", m.accel, "-cpu", cpu, "-smp", "2", "-m", memory,
		"-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio",
		"-object", "memory-backend-memfd,id=memory,share=on,size=" + memory, "-numa", "node,memdev=memory",
		"-chardev", "socket,id=files,path=" + socket, "-device", "vhost-user-fs-pci,chardev=files,tag=outside",
		"-drive", "file=" + disk + ",format=raw,if=virtio,cache=unsafe",
		"-kernel", filepath.Join(m.kernel, "boot/vmlinuz-"+m.version), "-initrd", initramfs,
		"-append", "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off net.ifnames=0 psi=1 " + m.options,
	}
}

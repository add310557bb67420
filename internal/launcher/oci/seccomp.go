package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// profile is a seccomp profile in Docker's format, which Mesos takes: rules may
// depend on the architecture and on what the container may do.
type profile struct {
	DefaultAction   specs.LinuxSeccompAction `json:"defaultAction"`
	DefaultErrnoRet *uint                    `json:"defaultErrnoRet"`
	Architectures   []specs.Arch             `json:"architectures"`
	ArchMap         []struct {
		Architecture     specs.Arch   `json:"architecture"`
		SubArchitectures []specs.Arch `json:"subArchitectures"`
	} `json:"archMap"`
	Syscalls []rule `json:"syscalls"`
}

type rule struct {
	Name     string                   `json:"name"`
	Names    []string                 `json:"names"`
	Action   specs.LinuxSeccompAction `json:"action"`
	ErrnoRet *uint                    `json:"errnoRet"`
	Args     []specs.LinuxSeccompArg  `json:"args"`
	Includes condition                `json:"includes"`
	Excludes condition                `json:"excludes"`
}

// condition is when a rule counts; minKernel is taken as given.
type condition struct {
	Arches []string `json:"arches"`
	Caps   []string `json:"caps"`
}

// seccomp filters system calls by the profile that the container names, or by
// that of all containers.
func seccomp(c *container, s *specs.Spec) error {
	info := c.Container.GetLinuxInfo().GetSeccomp()
	name := c.options.SeccompProfile
	switch {
	case info.GetUnconfined() && info.ProfileName != nil:
		return errors.New("a seccomp profile and unconfined exclude each other")
	case info.GetUnconfined():
		return nil
	case info != nil && info.ProfileName != nil:
		name = info.GetProfileName()
	}
	if name == "" {
		return nil
	}
	if name != filepath.Base(name) || name == ".." || name == "." {
		return fmt.Errorf("seccomp profile %q: name a file in --seccomp_config_dir", name)
	}
	text, err := os.ReadFile(filepath.Join(c.options.SeccompDir, name))
	if err != nil {
		return fmt.Errorf("seccomp profile: %w", err)
	}
	s.Linux.Seccomp, err = ParseProfile(text, goArch(), s.Process.Capabilities.Bounding)
	if err != nil {
		return fmt.Errorf("seccomp profile %q: %w", name, err)
	}
	return nil
}

// ParseProfile returns the filter that a profile is for an architecture and a set
// of capabilities.
func ParseProfile(text []byte, arch string, caps []string) (*specs.LinuxSeccomp, error) {
	var p profile
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&p); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(string(p.DefaultAction), "SCMP_ACT_") {
		return nil, fmt.Errorf("its defaultAction is %q; say SCMP_ACT_ERRNO, or another SCMP_ACT_…", p.DefaultAction)
	}
	out := &specs.LinuxSeccomp{DefaultAction: p.DefaultAction, DefaultErrnoRet: p.DefaultErrnoRet, Architectures: p.Architectures}
	for _, m := range p.ArchMap {
		if archNames[m.Architecture] == arch {
			out.Architectures = append([]specs.Arch{m.Architecture}, m.SubArchitectures...)
		}
	}
	for _, r := range p.Syscalls {
		if r.Name != "" {
			r.Names = append(r.Names, r.Name)
		}
		if len(r.Names) == 0 {
			return nil, errors.New("it has a rule without names of system calls")
		}
		if r.counts(arch, caps) {
			out.Syscalls = append(out.Syscalls, specs.LinuxSyscall{Names: r.Names, Action: r.Action, ErrnoRet: r.ErrnoRet, Args: r.Args})
		}
	}
	return out, nil
}

func (r *rule) counts(arch string, caps []string) bool {
	has := func(c string) bool { return slices.Contains(caps, c) }
	if len(r.Excludes.Arches) > 0 && slices.Contains(r.Excludes.Arches, arch) || slices.ContainsFunc(r.Excludes.Caps, has) {
		return false
	}
	if len(r.Includes.Arches) > 0 && !slices.Contains(r.Includes.Arches, arch) {
		return false
	}
	return !slices.ContainsFunc(r.Includes.Caps, func(c string) bool { return !has(c) })
}

// archNames are the names that conditions call architectures by.
var archNames = map[specs.Arch]string{
	specs.ArchX86_64: "amd64", specs.ArchAARCH64: "arm64", specs.ArchS390X: "s390x", specs.ArchPPC64LE: "ppc64le",
	specs.ArchRISCV64: "riscv64",
}

func goArch() string { return runtime.GOARCH }

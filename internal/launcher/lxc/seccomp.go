package lxc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// seccomp writes a filter of system calls as LXC reads it, into the bundle.
func (c *config) seccomp(filter *specs.LinuxSeccomp, bundle string) error {
	if filter == nil {
		return nil
	}
	text, err := policy(filter)
	if err != nil {
		return fmt.Errorf("seccomp profile: %w", err)
	}
	file := filepath.Join(bundle, "seccomp")
	c.set("lxc.seccomp.profile", file)
	return os.WriteFile(file, text, 0o600)
}

// policy returns a filter in version 2 of LXC's format. Its rules count for all
// architectures that a machine's programs may be of.
func policy(filter *specs.LinuxSeccomp) ([]byte, error) {
	normal, err := action(filter.DefaultAction, filter.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "2\nallowlist %s\n[all]\n", normal)
	for _, rule := range filter.Syscalls {
		what, err := action(rule.Action, rule.ErrnoRet)
		if err != nil {
			return nil, err
		}
		if what == normal {
			continue // says nothing, which is not taken
		}
		args, err := arguments(rule.Args)
		if err != nil {
			return nil, err
		}
		for _, name := range rule.Names {
			fmt.Fprintf(&out, "%s %s%s\n", name, what, args)
		}
	}
	return out.Bytes(), nil
}

func action(a specs.LinuxSeccompAction, errno *uint) (string, error) {
	switch a {
	case specs.ActAllow:
		return "allow", nil
	case specs.ActErrno:
		if errno == nil {
			errno = new(uint(syscall.EPERM))
		}
		return fmt.Sprintf("errno %d", *errno), nil
	case specs.ActKill, specs.ActKillThread:
		return "kill", nil
	case specs.ActTrap:
		return "trap", nil
	default:
		return "", fmt.Errorf("LXC has no action like %s", a)
	}
}

// operators are those that LXC knows, by the same names.
var operators = []specs.LinuxSeccompOperator{
	specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual,
}

func arguments(args []specs.LinuxSeccompArg) (string, error) {
	var out bytes.Buffer
	for _, a := range args {
		if !slices.Contains(operators, a.Op) {
			return "", fmt.Errorf("unknown operator %s", a.Op)
		}
		if a.Op == specs.OpMaskedEqual { // the value is the mask there
			fmt.Fprintf(&out, " [%d,%d,%s,%d]", a.Index, a.ValueTwo, a.Op, a.Value)
			continue
		}
		fmt.Fprintf(&out, " [%d,%d,%s]", a.Index, a.Value, a.Op)
	}
	return out.String(), nil
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/meseta-project/meseta/internal/flags"
)

// systemdFlags are about an agent that is a unit of systemd. Mesos moves executors
// to a slice of their own then, so that they outlive the unit; here the unit says
// that they do, and the agent looks whether it does.
type systemdFlags struct {
	Enable bool
	Dir    string
}

func (f *systemdFlags) define(set *flags.Set) {
	set.Bool(&f.Enable, "systemd_enable_support", true, "When the agent is a unit of systemd, look whether containers outlive a stop of the unit (KillMode=process), and warn if they do not.")
	set.Path(&f.Dir, "systemd_runtime_directory", "/run/systemd/system", "Where systemd has its units. Where this is not, there is no systemd.")
}

// systemdPatience bounds how long systemd may take to answer.
const systemdPatience = 5 * time.Second

// check warns if a stop of the agent's unit would end containers too. cgroup is the
// file that says which unit that is.
func (f *systemdFlags) check(cgroup string, log *slog.Logger) {
	if !f.Enable {
		return
	}
	if _, err := os.Stat(f.Dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	text, err := os.ReadFile(cgroup)
	unit := unitOf(string(text))
	if err != nil || unit == "" {
		return
	}
	mode, err := killMode(unit)
	switch {
	case err != nil:
		log.Warn("cannot ask systemd whether containers outlive the agent's unit; it must say KillMode=process", slog.String("unit", unit), slog.Any("error", err))
	case mode != "process" && mode != "none":
		log.Warn("containers end when the agent's unit is stopped or restarted: say KillMode=process in the unit", slog.String("unit", unit), slog.String("kill_mode", mode))
	}
}

func killMode(unit string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), systemdPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=KillMode", unit).Output()
	if err != nil {
		return "", fmt.Errorf("systemctl show %s: %w", unit, err)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(out), "KillMode=")), nil
}

// unitOf returns the service that a process is in, "" if in none, by its
// /proc/PID/cgroup: in control groups that systemd makes, version 2 or its own of
// version 1.
func unitOf(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[1] != "" && parts[1] != "name=systemd" {
			continue
		}
		all := strings.Split(path.Clean(parts[2]), "/")
		if i := slices.IndexFunc(all, func(name string) bool { return strings.HasSuffix(name, ".service") }); i >= 0 {
			return all[i]
		}
	}
	return ""
}

package image

import (
	"errors"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Runtime is what an image says of how to run it.
type Runtime struct {
	Entrypoint []string `json:",omitempty"`
	Cmd        []string `json:",omitempty"`
	Env        []string `json:",omitempty"` // NAME=VALUE, others left out
	WorkingDir string   `json:",omitempty"` // within the root; "": none is named
	// User is noted and not obeyed, as with Mesos: the task's user comes from its
	// framework.
	User string `json:",omitempty"`
}

func runtimeOf(c *v1.Config) Runtime {
	valid := slices.DeleteFunc(slices.Clone(c.Env), func(v string) bool {
		name, _, ok := strings.Cut(v, "=")
		return !ok || name == "" || strings.ContainsRune(v, 0)
	})
	return Runtime{Entrypoint: c.Entrypoint, Cmd: c.Cmd, Env: valid, WorkingDir: c.WorkingDir, User: c.User}
}

// Errors of commands that do not say what to run.
var (
	ErrNoCommand = errors.New("Shell specified but no command value provided") //nolint:staticcheck // as Mesos words it
	ErrNothing   = errors.New("No executable is found")                        //nolint:staticcheck // as Mesos words it
)

// Command returns the command of a task, completed by its image's entrypoint and
// cmd where it names no program:
//
//	task                │ image has neither │ cmd only       │ entrypoint
//	────────────────────┼───────────────────┼────────────────┼────────────────────────
//	shell, value        │ value             │ value          │ value
//	shell, no value     │ error             │ error          │ error
//	value [argv]        │ value argv        │ value argv     │ value argv
//	no value, argv      │ error             │ cmd[0] argv    │ entrypoint argv
//	no value, no argv   │ error             │ cmd            │ entrypoint cmd
//
// Beside a value argv begins with the program's own name, beside none it does not.
func (r *Runtime) Command(command *mesos.CommandInfo) (*mesos.CommandInfo, error) {
	if command != nil && command.Value != nil {
		return command, nil
	}
	if command.GetShell() {
		return nil, ErrNoCommand
	}
	argv, otherwise := r.Entrypoint, r.Cmd
	if len(argv) == 0 && len(r.Cmd) > 0 {
		argv, otherwise = r.Cmd[:1], r.Cmd[1:]
	}
	if len(argv) == 0 {
		return nil, ErrNothing
	}
	out := proto.CloneOf(command)
	if given := command.GetArguments(); len(given) > 0 {
		otherwise = given
	}
	out.Value, out.Arguments = &argv[0], slices.Concat(argv, otherwise)
	return out, nil
}

// Environment returns the task's variables with those of the image that the task
// does not set.
func (r *Runtime) Environment(task []string) []string {
	set := map[string]bool{}
	for _, v := range task {
		name, _, _ := strings.Cut(v, "=")
		set[name] = true
	}
	out := slices.Clone(task)
	for _, v := range r.Env {
		if name, _, _ := strings.Cut(v, "="); !set[name] {
			out = append(out, v)
		}
	}
	return out
}

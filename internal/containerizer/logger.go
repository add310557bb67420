package containerizer

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/launcher"
)

// Logger rotates what containers write, as Mesos's LogrotateContainerLogger does.
type Logger struct {
	Stdout, Stderr launcher.Rotation
}

// loggerPrefix begins the variables by which a command changes how its own output is
// rotated.
const loggerPrefix = "CONTAINER_LOGGER_"

// keepMax bounds how many old files there are of each.
const keepMax = 1000

// Check refuses limits that make no sense.
func (l *Logger) Check() error {
	for _, r := range []launcher.Rotation{l.Stdout, l.Stderr} {
		if page := os.Getpagesize(); r.Max < int64(page) {
			return fmt.Errorf("Expected --max_stdout_size and --max_stderr_size of at least %d bytes", page) //nolint:staticcheck // Mesos's words
		}
		if r.Keep < 0 || r.Keep > keepMax {
			return fmt.Errorf("expected to keep at most %d files", keepMax)
		}
	}
	return nil
}

// of returns how the output of a command is rotated.
func (l *Logger) of(command *mesos.CommandInfo) (*Logger, error) {
	own := *l
	settings := map[string]func(string) error{
		"MAX_STDOUT_SIZE":          func(v string) error { return setMax(&own.Stdout, v) },
		"MAX_STDERR_SIZE":          func(v string) error { return setMax(&own.Stderr, v) },
		"LOGROTATE_STDOUT_OPTIONS": func(v string) error { return setOptions(&own.Stdout, v) },
		"LOGROTATE_STDERR_OPTIONS": func(v string) error { return setOptions(&own.Stderr, v) },
	}
	for _, v := range command.GetEnvironment().GetVariables() {
		name, ours := strings.CutPrefix(v.GetName(), loggerPrefix)
		if !ours {
			continue
		}
		set, known := settings[name]
		if !known {
			return nil, fmt.Errorf("%s is not known", v.GetName())
		}
		if err := set(v.GetValue()); err != nil {
			return nil, fmt.Errorf("%s: %w", v.GetName(), err)
		}
	}
	return &own, own.Check()
}

func setMax(r *launcher.Rotation, text string) error {
	size, err := flags.ParseBytes(text)
	r.Max = int64(size)
	return err
}

// setOptions takes the lines of a configuration of logrotate's that mean something
// where files are rotated by size alone.
func setOptions(r *launcher.Rotation, text string) error {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case len(words) == 2 && words[0] == "rotate":
			n, err := strconv.Atoi(words[1])
			if err != nil {
				return fmt.Errorf("rotate %q is no number", words[1])
			}
			r.Keep = n
		default:
			return errors.New("of logrotate's options there is \"rotate N\" alone")
		}
	}
	return nil
}

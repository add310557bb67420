package cli

import (
	"fmt"

	"github.com/meseta-project/meseta/internal/containerizer"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/launcher"
)

// loggerFlags are what becomes of what tasks write.
type loggerFlags struct {
	Logger               string
	MaxStdout, MaxStderr flags.Bytes
	Keep                 int
}

func (f *loggerFlags) define(set *flags.Set) {
	set.Choice(&f.Logger, "container_logger", "sandbox", []string{"sandbox", "logrotate", "org_apache_mesos_LogrotateContainerLogger"}, "What becomes of stdout and stderr: sandbox has them grow in the sandbox, logrotate rotates them there as stdout.1 and so on. The last name, Mesos's, means the same as logrotate.")
	set.Bytes(&f.MaxStdout, "container_logger_max_stdout_size", 10*flags.Megabyte, "Size at which logrotate rotates stdout, at least a page of memory. A task changes it for itself by the variable CONTAINER_LOGGER_MAX_STDOUT_SIZE.")
	set.Bytes(&f.MaxStderr, "container_logger_max_stderr_size", 10*flags.Megabyte, "The same of stderr: CONTAINER_LOGGER_MAX_STDERR_SIZE.")
	set.Count(&f.Keep, "container_logger_keep", 5, "How many old files logrotate keeps of each. A task changes it by CONTAINER_LOGGER_LOGROTATE_STDOUT_OPTIONS and …STDERR_OPTIONS: \"rotate N\".")
}

// open returns the logger, nil for none that rotates.
func (f *loggerFlags) open() (*containerizer.Logger, error) {
	if f.Logger == "sandbox" {
		return nil, nil //nolint:nilnil // none is a logger too
	}
	l := &containerizer.Logger{
		Stdout: launcher.Rotation{Max: int64(f.MaxStdout), Keep: f.Keep}, Stderr: launcher.Rotation{Max: int64(f.MaxStderr), Keep: f.Keep},
	}
	if err := l.Check(); err != nil {
		return nil, fmt.Errorf("--container_logger: %w", err)
	}
	return l, nil
}

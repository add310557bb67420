package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/httpd"
)

// logFlags say what is logged and where to, under Mesos's names.
type logFlags struct {
	level         slog.LevelVar
	Dir, External string
	Quiet         bool
}

// The default level is INFO for servers, and less for what people watch.
func newLogFlags(set *flags.Set, level string) *logFlags {
	f := &logFlags{}
	set.Group("Log")
	set.Func(func(text string) error {
		return f.level.UnmarshalText([]byte(strings.Replace(text, "WARNING", "WARN", 1)))
	},
		"logging_level", level, "level", "The least level to log: DEBUG, INFO, WARNING or ERROR.")
	set.Path(&f.Dir, "log_dir", "", "Folder to keep the log in, as a file that is appended to. By default there is none.").Optional()
	set.Path(&f.External, "external_log_file", "", "File that something else keeps the log in, shown to clients in place of our own.").Optional()
	set.Bool(&f.Quiet, "quiet", false, "Do not log to standard error.")
	return f
}

// logs is where a server logs to, with what it tells clients of that.
type logs struct {
	*slog.Logger
	Dir, External string // as the flags say
	File          string // what clients are shown, or ""
	Verbosity     *httpd.Verbosity
	file          *os.File
}

// open opens the log of a program.
func (f *logFlags) open(program string, console io.Writer) (*logs, error) {
	l := &logs{Dir: f.Dir, External: f.External, File: f.External, Verbosity: httpd.NewVerbosity(&f.level, flags.ParseDuration)}
	to := console
	if f.Quiet {
		to = io.Discard
	}
	if f.Dir != "" {
		path := filepath.Join(f.Dir, "meseta-"+program+".log")
		if err := os.MkdirAll(f.Dir, 0o755); err != nil {
			return nil, fmt.Errorf("make the --log_dir: %w", err)
		}
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("open the log: %w", err)
		}
		l.file, to = file, io.MultiWriter(to, file)
		if l.File == "" {
			l.File = path
		}
	}
	l.Logger = slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: &f.level}))
	return l, nil
}

// part returns the log of one of several servers in the process.
func (l *logs) part(name string) *logs {
	part := *l
	part.Logger = l.With(slog.String("part", name))
	return &part
}

func (l *logs) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

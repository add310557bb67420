// Package flags reads configuration as Apache Mesos does, on top of pflag:
//
//	fs := flags.New("MESOS_")
//	fs.Group("Allocation")
//	fs.Duration(&cfg.AllocationInterval, "allocation_interval", time.Second,
//		"How long to wait between two rounds of allocation.")
//	fs.Bool(&cfg.RootSubmissions, "root_submissions", true,
//		"Whether frameworks may run as root.")
//	args, err := fs.Parse(os.Args[1:], os.Environ())
//
// A flag is "--name=value" or "--name value"; a boolean one is "--name",
// "--no-name" or "--name=false". A flag not on the command line is taken from
// the environment, here from MESOS_ALLOCATION_INTERVAL. The value
// "file:///path" stands for what the file says, less a newline at its end.
// Names are in lower case, whatever the case they are given in. A flag given
// twice on the command line is an error, and so is an unknown one; unknown
// variables are ignored.
//
// A Set is not safe for concurrent use.
package flags

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// A Set is the flags of one command.
type Set struct {
	pflags *pflag.FlagSet
	prefix string
	group  string
	flags  []*Flag // as defined
	named  map[string]*Flag

	// Warnings are what the user should know after [Set.Parse]: deprecated
	// names that were used.
	Warnings []string
}

// New returns an empty set whose flags are also read from the environment, at
// prefix followed by the name in upper case.
func New(prefix string) *Set {
	s := &Set{pflags: pflag.NewFlagSet("", pflag.ContinueOnError), prefix: prefix, named: map[string]*Flag{}}
	s.pflags.SetNormalizeFunc(lower)
	s.pflags.SortFlags = false
	s.pflags.Usage = func() {}
	return s
}

func lower(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	return pflag.NormalizedName(strings.ToLower(name))
}

// Group titles the flags defined from here on, for the help.
func (s *Set) Group(title string) { s.group = title }

// A Flag is one flag of a set. Its methods refine the definition.
type Flag struct {
	set   *Set
	name  string
	group string
	help  string
	value value
	def   string // the default, as text
	names []name // all it goes by, the first is the proper one

	loaded   string // the name it was set by; "" while it has its default
	from     source
	optional bool
	required bool
	literal  bool // file:// is part of the value
	check    func() error
}

type name struct {
	text       string
	deprecated bool
}

// source says where a flag's value is from.
type source int

const (
	byDefault source = iota
	commandLine
	environment
)

// define adds a flag. Two flags of one name are a bug, and panic.
func (s *Set) define(name, help string, v value) *Flag {
	f := &Flag{set: s, name: name, group: s.group, help: help, value: v, def: v.text()}
	s.flags = append(s.flags, f)
	return f.called(name, false)
}

// Alias adds another name for the flag, which is as good.
func (f *Flag) Alias(name string) *Flag { return f.called(name, false) }

// DeprecatedAlias adds an older name for the flag. Its use is warned of.
func (f *Flag) DeprecatedAlias(name string) *Flag { return f.called(name, true) }

// Optional says that the flag has no default: it is in no listing until set.
func (f *Flag) Optional() *Flag {
	f.optional = true
	return f
}

// Required says that the flag must be set.
func (f *Flag) Required() *Flag {
	f.required = true
	return f.Optional()
}

// Check adds a condition that is looked at when all flags are read.
func (f *Flag) Check(ok func() error) *Flag {
	f.check = ok
	return f
}

// called makes text a name of f.
func (f *Flag) called(text string, deprecated bool) *Flag {
	n := name{text, deprecated}
	f.names = append(f.names, n)
	f.set.named[text] = f
	_, boolean := f.value.(*binding[bool])
	p := f.set.pflags.VarPF(&spelling{flag: f, name: n, boolean: boolean}, text, "", f.help)
	p.Hidden = len(f.names) > 1
	if boolean {
		p.NoOptDefVal = bare
		no := f.set.pflags.VarPF(&spelling{flag: f, name: n, boolean: true, negated: true}, "no-"+text, "", f.help)
		no.NoOptDefVal, no.Hidden = bare, true
	}
	return f
}

// bare is what a flag without a value is set to: no argument can contain it.
const bare = "\x00"

// spelling is one way to set a flag. It is what pflag sees.
type spelling struct {
	flag             *Flag
	name             name
	boolean, negated bool
}

func (s *spelling) String() string { return s.flag.def }

func (s *spelling) Type() string { return s.flag.value.kind() }

// Set sets the flag from the command line.
func (s *spelling) Set(text string) error {
	switch {
	case s.negated && text != bare && text != "":
		return fmt.Errorf("--no-%s takes no value", s.name.text)
	case s.negated:
		text = "false"
	case s.boolean && (text == bare || text == ""):
		text = "true"
	}
	return s.flag.load(s.name, text, commandLine)
}

// load sets the flag to text by one of its names.
func (f *Flag) load(n name, text string, from source) error {
	if f.loaded != "" {
		return fmt.Errorf("it is given twice, first as %s", f.loaded)
	}
	if !f.literal {
		var err error
		if text, err = resolve(text); err != nil {
			return err
		}
	}
	if err := f.value.set(text); err != nil {
		return err
	}
	f.loaded, f.from = n.text, from
	if n.deprecated {
		f.set.Warnings = append(f.set.Warnings, fmt.Sprintf("--%s is deprecated: use --%s", n.text, f.name))
	}
	return nil
}

// Parse reads args, which do not begin with the command's name, and then the
// environment. It returns the arguments that are not flags, and those after
// "--". The error is for the user.
func (s *Set) Parse(args, environ []string) ([]string, error) {
	if err := s.pflags.Parse(args); err != nil {
		return nil, s.Explain(err)
	}
	return s.pflags.Args(), s.Complete(environ)
}

// AddTo adds the flags to those of another parser, such as a cobra command's,
// which then calls [Set.Explain] for its errors and [Set.Complete] when it has
// read the command line.
func (s *Set) AddTo(other *pflag.FlagSet) {
	other.SetNormalizeFunc(lower)
	other.AddFlagSet(s.pflags)
}

// Complete takes from environ, a list of NAME=value, what the command line
// left open, and checks that nothing required is missing and all is well.
func (s *Set) Complete(environ []string) error {
	if err := s.loadEnvironment(environ); err != nil {
		return err
	}
	for _, f := range s.flags {
		if f.required && f.loaded == "" {
			return fmt.Errorf("--%s is required, or %s in the environment", f.name, s.variable(f.name))
		}
	}
	for _, f := range s.flags {
		if f.check == nil {
			continue
		}
		if err := f.check(); err != nil {
			return fmt.Errorf("--%s: %w", f.name, err)
		}
	}
	return nil
}

func (s *Set) variable(name string) string { return s.prefix + strings.ToUpper(name) }

func (s *Set) loadEnvironment(environ []string) error {
	environ = slices.Sorted(slices.Values(environ)) // errors do not depend on their order
	for _, variable := range environ {
		key, text, _ := strings.Cut(variable, "=")
		called, ours := strings.CutPrefix(key, s.prefix)
		called = strings.ToLower(called)
		f, known := s.named[called]
		if !ours || !known || f.from == commandLine {
			continue
		}
		if _, boolean := f.value.(*binding[bool]); boolean && text == "" {
			text = "true"
		}
		i := slices.IndexFunc(f.names, func(n name) bool { return n.text == called })
		if err := f.load(f.names[i], text, environment); err != nil {
			return fmt.Errorf("the environment's %s: %w", key, err)
		}
	}
	return nil
}

// Loaded reports whether the flag was set, rather than left at its default.
func (s *Set) Loaded(name string) bool {
	f, ok := s.named[name]
	return ok && f.loaded != ""
}

// Values returns every flag that is set or has a default, by the name it was
// set by, as text in Mesos's formats. It is what /flags shows.
func (s *Set) Values() map[string]string {
	values := make(map[string]string, len(s.flags))
	for _, f := range s.flags {
		switch {
		case f.loaded != "":
			values[f.loaded] = f.value.text()
		case !f.optional:
			values[f.name] = f.value.text()
		}
	}
	return values
}

// Explain says more about an error of pflag's: what an unknown flag may have
// been meant to be.
func (s *Set) Explain(err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	given := strings.ToLower(unknown.GetSpecifiedName())
	if near := nearest(given, s.pflags); near != "" {
		return fmt.Errorf("unknown flag --%s: did you mean --%s?", given, near)
	}
	return fmt.Errorf("unknown flag --%s", given)
}

package flags

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// config has a field of each kind.
type config struct {
	Name     string
	Mode     string
	List     []string
	Strict   bool
	Level    int
	Max      int
	Port     uint16
	Factor   float64
	Interval time.Duration
	Timeout  time.Duration
	Size     Bytes
	WorkDir  string
	Master   string
	Roles    map[string]int
	Ratio    string
}

func define() (*config, *Set) {
	c, fs := &config{}, New("MESOS_")
	fs.Group("First things")
	fs.String(&c.Name, "name", "", "What it is called.")
	fs.Choice(&c.Mode, "mode", "equal", []string{"equal", "additive"}, "How it is compared.")
	fs.Strings(&c.List, "isolation", []string{"posix/cpu", "posix/mem"}, "What is isolated.")
	fs.Bool(&c.Strict, "strict", true, "Whether errors are fatal.")
	fs.Group("Numbers")
	fs.Int(&c.Level, "level", -1, "A level.")
	fs.Count(&c.Max, "max_agents", 5, "How many there may be.").DeprecatedAlias("max_slaves")
	fs.Port(&c.Port, "port", 5050, "Where to listen.")
	fs.Float(&c.Factor, "factor", 0.8, "A factor.")
	fs.Duration(&c.Interval, "interval", time.Second, "How often.").Alias("period")
	fs.Duration(&c.Timeout, "offer_timeout", 0, "How long at most.").Optional()
	fs.Bytes(&c.Size, "size", 2*Gigabyte, "How much.")
	fs.Group("First things")
	fs.Path(&c.WorkDir, "work_dir", "/tmp/work", "Where to work.").
		Check(func() error {
			if !filepath.IsAbs(c.WorkDir) {
				return errors.New("want an absolute path")
			}
			return nil
		})
	fs.Secret(&c.Master, "master", "Where the master is.").Required()
	fs.JSON(func(data []byte) error { return json.Unmarshal(data, &c.Roles) }, "roles", "Roles with weights.")
	fs.Func(func(text string) error {
		if !strings.HasSuffix(text, "%") {
			return errors.New("want a percentage")
		}
		c.Ratio = text
		return nil
	}, "limit", "100%", "PERCENT", "How many at most.")
	return c, fs
}

func TestDefaults(t *testing.T) {
	c, fs := define()
	rest, err := fs.Parse([]string{"--master=m:5050", "a", "--", "--b"}, nil)
	if err != nil || !slices.Equal(rest, []string{"a", "--b"}) {
		t.Fatalf("Parse = %q, %v", rest, err)
	}
	want := map[string]string{
		"name": "", "mode": "equal", "isolation": "posix/cpu,posix/mem", "strict": "true", "level": "-1",
		"max_agents": "5", "port": "5050", "factor": "0.8", "interval": "1secs", "size": "2GB",
		"work_dir": "/tmp/work", "master": "m:5050", "limit": "100%",
	}
	if got := fs.Values(); !maps.Equal(got, want) {
		t.Errorf("Values = %q, want %q", got, want)
	}
	if c.Interval != time.Second || c.Size != 2<<30 || c.Ratio != "100%" || c.Timeout != 0 {
		t.Errorf("the defaults are %+v", c)
	}
	if fs.Loaded("interval") || !fs.Loaded("master") || fs.Loaded("nothing") {
		t.Error("Loaded is wrong")
	}
}

// TestForms sets one flag in each of the ways there are.
func TestForms(t *testing.T) {
	for _, tc := range []struct {
		args, env  string
		name, want string
	}{
		{"--interval=1.5mins", "", "interval", "90secs"},
		{"--interval 2weeks", "", "interval", "2weeks"},
		{"--INTERVAL=1mins", "", "interval", "1mins"},
		{"--period=1mins", "", "period", "1mins"},
		{"--interval=1mins", "MESOS_INTERVAL=2mins", "interval", "1mins"},
		{"--interval=1mins", "MESOS_PERIOD=2mins", "interval", "1mins"},
		{"", "MESOS_INTERVAL=2mins", "interval", "2mins"},
		{"", "MESOS_interval=2mins", "interval", "2mins"},
		{"", "MESOS_PERIOD=2mins", "period", "2mins"},
		{"", "MESOS_SANDBOX=/mnt INTERVAL=x MESOS_DIRECTORY", "interval", "1secs"},
		{"--offer_timeout=0ns", "", "offer_timeout", "0ns"},
		{"--strict", "", "strict", "true"},
		{"--strict=", "", "strict", "true"},
		{"--no-strict", "", "strict", "false"},
		{"--no-strict=", "", "strict", "false"},
		{"--strict=0", "", "strict", "false"},
		{"--strict false", "", "strict", "true"}, // false is an argument
		{"", "MESOS_STRICT=false", "strict", "false"},
		{"", "MESOS_STRICT=", "strict", "true"},
		{"--name=", "", "name", ""},
		{"--name=a=b", "", "name", "a=b"},
		{"--isolation=a,,b", "", "isolation", "a,b"},
		{"--port=0", "", "port", "0"},
		{"--factor=1e-3", "", "factor", "0.001"},
		{"--size=1024kb", "", "size", "1MB"},
		{"--mode=additive", "", "mode", "additive"},
		{"--level=-7", "", "level", "-7"},
		{"--limit=5%", "", "limit", "5%"},
		{"--roles={\"a\":1}", "", "roles", `{"a":1}`},
		{"--work_dir=file:///w", "", "work_dir", "/w"},
	} {
		_, fs := define()
		args := append(strings.Fields(tc.args), "--master=m")
		if _, err := fs.Parse(args, strings.Fields(tc.env)); err != nil {
			t.Errorf("%q %q: %v", tc.args, tc.env, err)
		}
		if got, ok := fs.Values()[tc.name]; !ok || got != tc.want {
			t.Errorf("%q %q: %s is %q, want %q", tc.args, tc.env, tc.name, got, tc.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range []struct{ args, env, want string }{
		{"--interval=soon", "", `"soon" is no duration`},
		{"--interval", "", "--interval"},
		{"--interval=1secs --interval=1secs", "", "given twice"},
		{"--interval=1secs --period=1secs", "", "given twice, first as interval"},
		{"--strict --no-strict", "", "given twice"},
		{"--no-strict=true", "", "takes no value"},
		{"--strict=yes", "", "want true or false"},
		{"--no-interval", "", "unknown flag --no-interval"},
		{"--intervall=1secs", "", "did you mean --interval?"},
		{"--offer-timeout=1secs", "", "did you mean --offer_timeout?"},
		{"--no-strikt", "", "did you mean --no-strict?"},
		{"--xyzzy=1", "", "unknown flag --xyzzy"},
		{"--mode=other", "", "want one of equal, additive"},
		{"--max_agents=-1", "", "below 0"},
		{"--max_agents=many", "", "whole number"},
		{"--port=65536", "", "port"},
		{"--factor=NaN", "", "want a number"},
		{"--limit=5", "", "want a percentage"},
		{"--roles={", "", "want JSON"},
		{"--work_dir=w", "", "--work_dir: want an absolute path"},
		{"--name=file:///nonexistent/file", "", "/nonexistent/file"},
		{"--name=file:///dev/zero", "", "larger than 16MB"},
		{"", "MESOS_PORT=", "the environment's MESOS_PORT: want a port"},
		{"", "MESOS_INTERVAL=1secs MESOS_PERIOD=1secs", "given twice"},
	} {
		_, fs := define()
		args := append(strings.Fields(tc.args), "--master=m")
		_, err := fs.Parse(args, strings.Fields(tc.env))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q %q: %v, want %q", tc.args, tc.env, err, tc.want)
		}
	}
	_, fs := define()
	if _, err := fs.Parse(nil, nil); err == nil || err.Error() != "--master is required, or MESOS_MASTER in the environment" {
		t.Errorf("without a required flag: %v", err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	interval, master, roles := write("interval", "2hrs\n"), write("master", "zk://u:p@h/m\r\n"), write("roles", "{\n \"a\": 2\n}\n")
	c, fs := define()
	args := []string{"--interval=file://" + interval, "--master=file://" + master, "--roles=" + roles, "--name=file://" + roles}
	if _, err := fs.Parse(args, nil); err != nil {
		t.Fatal(err)
	}
	if c.Interval != 2*time.Hour || c.Master != "zk://u:p@h/m" || c.Roles["a"] != 2 || c.Name != "{\n \"a\": 2\n}" {
		t.Errorf("read %+v", c)
	}
	got := fs.Values()
	if got["interval"] != "2hrs" || got["master"] != master || got["roles"] != `{"a":2}` {
		t.Errorf("Values = %q", got)
	}
}

func TestDeprecatedNames(t *testing.T) {
	c, fs := define()
	if _, err := fs.Parse([]string{"--master=m", "--max_slaves=7"}, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"--max_slaves is deprecated: use --max_agents"}
	if c.Max != 7 || fs.Values()["max_slaves"] != "7" || !slices.Equal(fs.Warnings, want) {
		t.Errorf("Max %d, warnings %q", c.Max, fs.Warnings)
	}
}

// TestAddTo reads the flags through another parser, as a command's own.
func TestAddTo(t *testing.T) {
	c, fs := define()
	other := pflag.NewFlagSet("other", pflag.ContinueOnError)
	n := other.IntP("count", "n", 1, "")
	fs.AddTo(other)
	if err := other.Parse([]string{"-n", "100", "--no-strict", "--Master", "m"}); err != nil {
		t.Fatal(err)
	}
	if err := fs.Complete([]string{"MESOS_PORT=1"}); err != nil {
		t.Fatal(err)
	}
	if *n != 100 || c.Strict || c.Master != "m" || c.Port != 1 {
		t.Errorf("n %d, %+v", *n, c)
	}
}

func TestHelp(t *testing.T) {
	_, fs := define()
	var usage, reference strings.Builder
	if err := errors.Join(fs.Usage(&usage), fs.Markdown(&reference)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nNumbers:\n  --level=N (-1)\n        A level.\n",
		"  --[no-]strict (true)\n",
		"  --max_agents=N (5)\n        How many there may be. Deprecated name: --max_slaves.\n",
		"  --offer_timeout=DURATION\n",
		"  --master=TEXT|file://PATH (required)\n",
	} {
		if !strings.Contains(usage.String(), want) {
			t.Errorf("the usage lacks %q:\n%s", want, &usage)
		}
	}
	if strings.Count(usage.String(), "First things:") != 1 {
		t.Error("a group is in two places")
	}
	for _, want := range []string{
		"\n## Numbers\n\n| flag | default | meaning |\n",
		"| `--master=TEXT\\|file://PATH` | required | Where the master is. |\n",
		"| `--name=TEXT` | `` | What it is called. |\n",
	} {
		if !strings.Contains(reference.String(), want) {
			t.Errorf("the reference lacks %q:\n%s", want, &reference)
		}
	}
}

func TestWrap(t *testing.T) {
	var b strings.Builder
	wrap(&b, strings.Repeat("word ", 40), "    ")
	for line := range strings.Lines(b.String()) {
		if len(line) > width+1 || !strings.HasPrefix(line, "    word") {
			t.Errorf("line %q", line)
		}
	}
}

// FuzzParse reads any command line: what is accepted reads the same when it is
// written out again, but for the last digit of durations.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"--master=m", "--strict\n--no-strict", "--port\n1\n-x", "--interval=1.5mins\n--\n--x", "--roles={}", "--=", "---", "--no-", "-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, "/") || strings.Contains(line, bare) {
			return // no files, and no arguments that cannot be
		}
		_, first := define()
		if _, err := first.Parse(strings.Split(line, "\n"), nil); err != nil {
			return
		}
		var args []string
		for name, value := range first.Values() {
			if first.Loaded(name) {
				args = append(args, "--"+name+"="+value)
			}
		}
		_, second := define()
		_, err := second.Parse(args, nil)
		same := maps.EqualFunc(first.Values(), second.Values(), func(a, b string) bool {
			_, notDuration := ParseDuration(a)
			return a == b || notDuration == nil
		})
		if err != nil || !same {
			t.Errorf("%q, written out as %q: %v", line, args, err)
		}
	})
}

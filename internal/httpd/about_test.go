package httpd_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/httpd"
)

// A raised level of logging goes back by itself; what is no level or duration is
// refused.
func TestVerbosity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var level slog.LevelVar
		v := httpd.NewVerbosity(&level, func(text string) (time.Duration, error) {
			if text == "10secs" {
				return 10 * time.Second, nil
			}
			return 0, errors.New("no duration")
		})
		for _, step := range []struct {
			query, want string
			code        int
			level       slog.Level
		}{
			{"", "0\n", 200, slog.LevelInfo},
			{"?level=2", "Expecting 'duration=value' in query.\n", 400, slog.LevelInfo},
			{"?duration=10secs", "Expecting 'level=value' in query.\n", 400, slog.LevelInfo},
			{"?level=-1&duration=10secs", "Invalid level '-1'.\n", 400, slog.LevelInfo},
			{"?level=x&duration=10secs", "Failed to convert 'x' to number.\n", 400, slog.LevelInfo},
			{"?level=1&duration=x", "no duration.\n", 400, slog.LevelInfo},
			{"?level=2&duration=10secs", "", 200, slog.LevelDebug},
			{"", "2\n", 200, slog.LevelDebug},
		} {
			w := get(v, "/logging/toggle"+step.query)
			if w.Body.String() != step.want || w.Code != step.code || level.Level() != step.level {
				t.Errorf("%s: %d %q at %v, want %d %q at %v", step.query, w.Code, w.Body, level.Level(), step.code, step.want, step.level)
			}
		}
		time.Sleep(11 * time.Second) // of virtual time
		synctest.Wait()
		if v.Get() != 0 || level.Level() != slog.LevelInfo {
			t.Errorf("%d at %v, after the time was over", v.Get(), level.Level())
		}
	})
}

func TestHelp(t *testing.T) {
	h := httpd.NewHelp("master")
	h.Add("master", "state", "All that is known.")
	h.Add("metrics", "snapshot", "Numbers.")
	mux := httpd.NewMux("master")
	mux.Handle("help", "", h)
	for target, want := range map[string]string{
		"/help":                  "* [/master](/help/master)\n* [/metrics](/help/metrics)\n",
		"/help/master":           "* [/master/state](/help/master/state)\n",
		"/help/master/state":     "    /state\n    /master/state\n\nAll that is known.\n",
		"/help/metrics/snapshot": "    /metrics/snapshot\n\nNumbers.\n",
		"/help/nobody":           "No help available for '/nobody'.\n",
		"/help/master/nothing":   "No help available for '/master/nothing'.\n",
	} {
		if w := get(mux, target); !strings.HasSuffix(w.Body.String(), want) {
			t.Errorf("%s: %q, want an end of %q", target, w.Body, want)
		}
	}
	var all struct{ Processes []struct{ ID string } }
	if err := json.Unmarshal(get(mux, "/help?format=json").Body.Bytes(), &all); err != nil || len(all.Processes) != 2 {
		t.Errorf("%v, %v", all, err)
	}
}

// /system/stats.json and /version have the members that Mesos's have, in its
// order; of the build we tell less, and one thing more.
func TestGoldenAbout(t *testing.T) {
	if got, want := members(t, get(http.HandlerFunc(httpd.ServeSystem), "/").Body.Bytes()), members(t, golden.Read(t, "master/system_stats.json.json")); got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if got := members(t, get(http.HandlerFunc(httpd.ServeVersion), "/").Body.Bytes()); got != "build_date build_time build_user meseta_version version" {
		t.Errorf("%s", got)
	}
}

// members returns the names of an object's members, in their order.
func members(t *testing.T, object []byte) string {
	t.Helper()
	var names []string
	decoder := json.NewDecoder(strings.NewReader(string(object)))
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		name, err := decoder.Token()
		must(t, err)
		names = append(names, name.(string))
		var value json.RawMessage
		must(t, decoder.Decode(&value))
	}
	return strings.Join(names, " ")
}

// What is deleted is not shown any more, whatever it was called.
func TestForget(t *testing.T) {
	dir := t.TempDir()
	var files httpd.Files
	for virtual, path := range map[string]string{"/a": "x/run1", "/b": "x/run2", "/c": "x/run1/below", "/d": "xy"} {
		must(t, os.MkdirAll(filepath.Join(dir, path), 0o755))
		must(t, files.Attach(virtual, filepath.Join(dir, path), nil))
	}
	files.Forget([]string{filepath.Join(dir, "x/run1"), filepath.Join(dir, "nothing")})
	if left := files.Attached(); len(left) != 2 || left["/b"] == "" || left["/d"] == "" {
		t.Errorf("%v", left)
	}
	files.Forget([]string{filepath.Join(dir, "x")})
	if left := files.Attached(); len(left) != 1 || left["/d"] == "" {
		t.Errorf("%v", left)
	}
}

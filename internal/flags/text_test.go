package flags

import (
	"encoding/json"
	"math"
	"regexp"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/meseta-project/meseta/internal/golden"
)

func TestDuration(t *testing.T) {
	for _, tc := range []struct {
		text string
		want time.Duration
		back string
	}{
		{"0ns", 0, "0ns"},
		{"0secs", 0, "0ns"},
		{"999ns", 999, "999ns"},
		{"1.5us", 1500, "1500ns"},
		{"1500001ns", 1500001, "1.500001ms"},
		{"1500us", 1500 * time.Microsecond, "1500us"},
		{"1.5secs", 1500 * time.Millisecond, "1500ms"},
		{"1.0001secs", 1000100 * time.Microsecond, "1.0001secs"},
		{"60secs", time.Minute, "1mins"},
		{"90mins", 90 * time.Minute, "90mins"},
		{".5hrs", 30 * time.Minute, "30mins"},
		{"24hrs", day, "1days"},
		{"10days", 10 * day, "10days"},
		{"2weeks", 2 * week, "2weeks"},
		{"12hrs", 12 * time.Hour, "12hrs"},
		{"1.5weeks", 10*day + 12*time.Hour, "1.5weeks"},
	} {
		got, err := ParseDuration(tc.text)
		if err != nil || got != tc.want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", tc.text, got, err, tc.want)
		}
		if back := FormatDuration(got); back != tc.back {
			t.Errorf("FormatDuration(%v) = %q, want %q", got, back, tc.back)
		}
	}
	for _, text := range []string{"", "1", "secs", "1s", "1m", "-1secs", "+1secs", "1 secs", "1secs ", "1.2.3secs", ".secs", "1e3secs", "1SECS", "15251weeks", "1hrs30mins"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v", text, d)
		}
	}
	if got := FormatDuration(-90 * time.Second); got != "-90secs" {
		t.Errorf("FormatDuration(-90s) = %q", got)
	}
	if got := FormatDuration(math.MinInt64); got != "-15250.2844524715weeks" {
		t.Errorf("FormatDuration(MinInt64) = %q", got)
	}
}

func TestBytes(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Bytes
		back string
	}{
		{"0B", 0, "0B"},
		{"0TB", 0, "0B"},
		{"1023B", 1023, "1023B"},
		{"1024B", Kilobyte, "1KB"},
		{"1536kb", 1536 * Kilobyte, "1536KB"},
		{"512MB", 512 * Megabyte, "512MB"},
		{"2048MB", 2 * Gigabyte, "2GB"},
		{"1025GB", 1025 * Gigabyte, "1025GB"},
		{"3tB", 3 * Terabyte, "3TB"},
		{"16777215TB", 16777215 * Terabyte, "16777215TB"},
	} {
		got, err := ParseBytes(tc.text)
		if err != nil || got != tc.want {
			t.Errorf("ParseBytes(%q) = %d, %v, want %d", tc.text, got, err, tc.want)
		}
		if back := got.String(); back != tc.back {
			t.Errorf("String(%d) = %q, want %q", got, back, tc.back)
		}
	}
	for _, text := range []string{"", "1", "B", "1K", "1PB", "-1B", "1.5GB", "1 GB", "0x10B", "16777216TB", "99999999999999999999B"} {
		if b, err := ParseBytes(text); err == nil {
			t.Errorf("ParseBytes(%q) = %d", text, b)
		}
	}
}

// TestRoundTrips writes and reads any amount: bytes exactly, durations to the
// 15 digits that are written.
func TestRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Bytes(rapid.Uint64().Draw(t, "bytes"))
		if got, err := ParseBytes(b.String()); err != nil || got != b {
			t.Fatalf("%d is written %q and read %d, %v", b, b, got, err)
		}
		d := time.Duration(rapid.Int64Range(0, math.MaxInt64-1<<16).Draw(t, "nanoseconds"))
		got, err := ParseDuration(FormatDuration(d))
		if err != nil || !near(got, d) {
			t.Fatalf("%d is written %q and read %d, %v", d, FormatDuration(d), got, err)
		}
	})
}

// near reports whether a and b are the same to the 15 digits that are written,
// less the nanosecond that reading cuts off.
func near(a, b time.Duration) bool { return math.Abs(float64(a-b)) <= 1+1e-14*float64(b) }

// TestGolden reads and writes the durations and sizes that Mesos shows.
func TestGolden(t *testing.T) {
	duration, size := regexp.MustCompile(`^[0-9.]+(ns|us|ms|secs|mins|hrs|days|weeks)$`), regexp.MustCompile(`^[0-9]+[KMGT]?B$`)
	met := 0
	for _, sample := range []string{"master/flags.json", "agent/flags.json"} {
		var answer struct{ Flags map[string]string }
		if err := json.Unmarshal(golden.Read(t, sample), &answer); err != nil {
			t.Fatal(err)
		}
		for name, text := range answer.Flags {
			back := text
			switch {
			case duration.MatchString(text):
				d, err := ParseDuration(text)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				back, met = FormatDuration(d), met+1
			case size.MatchString(text):
				b, err := ParseBytes(text)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				back, met = b.String(), met+1
			}
			if back != text {
				t.Errorf("%s: Mesos shows %q, we %q", name, text, back)
			}
		}
	}
	if met < 30 {
		t.Errorf("only %d durations and sizes in the samples", met)
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"10secs", "1.5mins", "2weeks", "0ns", "", "1e9secs", "..ns", "9223372036854775807ns"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if d < 0 {
			t.Errorf("%q is %v", text, d)
		}
		again, err := ParseDuration(FormatDuration(d))
		if d < math.MaxInt64-1<<16 && (err != nil || !near(again, d)) {
			t.Errorf("%q is written %q and read %v, %v", text, FormatDuration(d), again, err)
		}
	})
}

func FuzzParseBytes(f *testing.F) {
	for _, seed := range []string{"2GB", "512mb", "0B", "", "18446744073709551615B", "1.5GB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := ParseBytes(text)
		if err != nil {
			return
		}
		if again, err := ParseBytes(b.String()); err != nil || again != b {
			t.Errorf("%q is written %q and read %d, %v", text, b, again, err)
		}
	})
}

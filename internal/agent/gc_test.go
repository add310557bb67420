package agent

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
)

func wasteOf(name string) waste {
	return waste{run: meta.Run{Executor: ids.ExecutorID(name)}, paths: []string{name}}
}

func TestCollectorKeepsWhatIsUsedAgain(t *testing.T) {
	c := collector{delay: time.Hour, headroom: 0.1}
	for i := range 4 {
		c.give(epoch.Add(time.Duration(i)*time.Minute), wasteOf(strconv.Itoa(i)))
	}
	c.keep(wasteOf("1").run)
	c.keep(wasteOf("2").run)
	c.give(epoch.Add(30*time.Minute), wasteOf("2"))
	if got := c.due(epoch.Add(63 * time.Minute)); !slices.Equal(got, []string{"0", "3"}) {
		t.Errorf("due %q", got)
	}
	if got := c.next(); !got.Equal(epoch.Add(90 * time.Minute)) {
		t.Errorf("next at %s", got)
	}
	if got := c.due(epoch.Add(2 * time.Hour)); !slices.Equal(got, []string{"2"}) || len(c.where) != 0 {
		t.Errorf("due %q, %d left", got, len(c.where))
	}
}

func TestCollectorIsBounded(t *testing.T) {
	c := collector{delay: time.Hour}
	for i := range maxWaste + 3 {
		c.give(epoch, wasteOf(strconv.Itoa(i)))
	}
	if got := c.due(epoch); !slices.Equal(got, []string{"0", "1", "2"}) {
		t.Errorf("due %q", got)
	}
}

func TestAge(t *testing.T) {
	c := collector{delay: 100 * time.Hour, headroom: 0.1}
	for used, want := range map[float64]time.Duration{0: 90 * time.Hour, 0.5: 40 * time.Hour, 0.9: 0, 1: 0} {
		if got := c.age(used).Round(time.Second); got != want {
			t.Errorf("at %v: %s, want %s", used, got, want)
		}
	}
}

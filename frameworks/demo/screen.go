package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meseta-project/meseta/resources"
)

// A screen shows the demonstration, in colours on a terminal.
type screen struct {
	mu      sync.Mutex
	out     *os.File
	colours bool
	began   time.Time
}

func newScreen(out *os.File) *screen {
	info, err := out.Stat()
	return &screen{out: out, colours: err == nil && info.Mode()&os.ModeCharDevice != 0, began: time.Now()}
}

func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// colour is the ANSI code of a framework.
var colour = map[string]string{"batch": "36", "service": "33"}

// paint returns text in a framework's colour.
func (s *screen) paint(name, text string) string {
	if !s.colours {
		return text
	}
	return "\x1b[" + colour[name] + "m" + text + "\x1b[0m"
}

// cluster shows what there is.
func (s *screen) cluster(c *cluster) {
	s.say("\n  master   http://%s", c.address)
	ids := make([]string, 0, len(c.names))
	for id := range c.names {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(c.names[a], c.names[b]) })
	for _, id := range ids {
		s.say("  %s   %s", c.names[id], words(c.have[id]))
	}
	s.say("\n%s tasks need 1 CPU and 4 GB, %s tasks 3 CPUs and 1 GB; each framework wants as many as it can get.",
		s.paint("batch", "batch"), s.paint("service", "service"))
	s.say("A framework's share is that of the resource it uses most. Whose share is smallest is offered what is free.\n")
}

// words says quantities as people do.
func words(q resources.Quantities) string {
	var parts []string
	for name, amount := range q.All() {
		switch name {
		case "cpus":
			parts = append(parts, plural(amount))
		case "mem":
			parts = append(parts, fmt.Sprintf("%v GB", amount/1024))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func plural(cpus resources.Amount) string {
	if cpus == resources.Unit {
		return "1 CPU"
	}
	return fmt.Sprintf("%v CPUs", cpus)
}

// line shows what a framework said.
func (s *screen) line(c *cluster, l line) {
	q, err := resources.ParseQuantities(l.Resources)
	if err != nil {
		q = resources.Quantities{}
	}
	name := s.paint(l.who.name, fmt.Sprintf("%-7s", l.who.name))
	at := time.Since(s.began).Seconds()
	switch {
	case l.Msg == "offered" && l.Fits:
		s.say("%5.1fs  %s  is offered  %-18s of %s: %s", at, name, words(q), c.names[l.Agent], why(c, l.who))
	case l.Msg == "offered":
		s.say("%5.1fs  %s  declines    %-18s of %s: no task of its fits", at, name, words(q), c.names[l.Agent])
	case l.Msg == "launched":
		s.say("%5.1fs  %s  launches    %-18s on %s: %s", at, name, words(q), c.names[l.Agent], s.bars(c, l.who))
	}
}

// why says why the master offers something to f.
func why(c *cluster, f *framework) string {
	_, mine := dominant(f.has, c.total)
	_, theirs := dominant(f.other.has, c.total)
	switch {
	case f.other.id == "":
		return "nobody else is there"
	case mine < theirs:
		return fmt.Sprintf("its %s is less than %s's %s", percent(mine), f.other.name, percent(theirs))
	case mine == theirs:
		return fmt.Sprintf("both have %s", percent(mine))
	default:
		return fmt.Sprintf("%s has less, but holds another offer or declined this", f.other.name)
	}
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) }

// bars draws the shares of both.
func (s *screen) bars(c *cluster, f *framework) string {
	return s.bar(c, first(f)) + "  " + s.bar(c, first(f).other)
}

// first returns which of f and the other is drawn first.
func first(f *framework) *framework {
	if f.name < f.other.name {
		return f
	}
	return f.other
}

const barWidth = 12

func (s *screen) bar(c *cluster, f *framework) string {
	_, share := dominant(f.has, c.total)
	full := min(int(share*barWidth+0.5), barWidth)
	return s.paint(f.name, fmt.Sprintf("%s %s%s %s", f.name, strings.Repeat("█", full), strings.Repeat("·", barWidth-full), percent(share)))
}

func (s *screen) tail(f *framework, task, agent string) {
	s.say("\nNothing more fits. Meanwhile %s writes on %s:", s.paint(f.name, task), agent)
}

func (s *screen) output(text []byte) { s.say("  | %s", text) }

// final shows what a framework has in the end.
func (s *screen) final(name string, has, total resources.Quantities) {
	most, share := dominant(has, total)
	of := map[string]string{"cpus": "CPUs", "mem": "memory"}[most]
	s.say("  %s  %-14s dominant share %s of the %s", s.paint(name, fmt.Sprintf("%-7s", name)), words(has), percent(share), of)
}

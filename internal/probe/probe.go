// Package probe decides when the check and the health check of a task are made,
// and what comes of them: nothing, a status to report, the task's end. It is told
// the time and what probes have found, and makes none itself.
//
//	         delay over           result: judged, then the interval begins
//	waiting ────────────▶ probing ────────────────────┐
//	   ▲                     │ Stop                   │
//	   └─────────────────────┼────────────────────────┘
//	                         ▼
//	                      (nothing more)
//
// A check tells what it has found when that changes, and never ends a task. A
// health check judges: failures before the first success count only once the grace
// period is over; from then on each is told, and so many in a row end the task. A
// success is told when it is the first, or follows a failure.
//
// There is at most one probe of each kind under way, however long it takes.
package probe

import (
	"fmt"
	"math"
	"strconv"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Kind is what a probe is made for.
type Kind uint8

// The kinds.
const (
	Check  Kind = iota + 1 // a task's CheckInfo
	Health                 // its HealthCheck
)

// String returns what Mesos calls it.
func (k Kind) String() string {
	if k == Health {
		return "health check"
	}
	return "check"
}

// leastInterval keeps a task that asks for no interval from being probed without
// a pause: probes are the agent's work, and not charged to the task.
const leastInterval = 100 * time.Millisecond

// Request is a probe to make. One of Command, URL and Address is set.
type Request struct {
	Kind    Kind
	Type    mesos.CheckInfo_Type
	Command *mesos.CommandInfo // to be run where the task runs
	URL     string             // to be got where the task runs
	Address string             // host and port to connect to, there as well
	Timeout time.Duration      // 0: none
}

// Name returns what people know the probe by: "COMMAND health check".
func (r *Request) Name() string { return r.Type.String() + " " + r.Kind.String() }

// Result is what came of a probe. The zero Status and Failure say that it could
// not be made for a reason that has nothing to do with the task: it counts as not
// made.
type Result struct {
	Kind    Kind
	Status  *mesos.CheckStatusInfo // what was found; nil: nothing
	Failure string                 // why nothing was, as that it took too long
}

// News is what is to be done about a result.
type News struct {
	Kind    Kind
	Status  *mesos.CheckStatusInfo // of a check
	Healthy bool                   // of a health check
	Kill    bool                   // end the task
}

// Probes are those of one task.
type Probes struct {
	check  *check
	health *health
}

// Start begins the probes of a task that has just been launched; nil if it has
// none. last is its last status that an earlier life of the agent told, which they
// go on from; nil: none.
func Start(now, launched time.Time, t *mesos.TaskInfo, last *mesos.TaskStatus) *Probes {
	p := &Probes{check: newCheck(t.GetCheck(), last), health: newHealth(launched, t.GetHealthCheck(), last)}
	if p.check == nil && p.health == nil {
		return nil
	}
	for _, s := range p.all() {
		if s.due = launched.Add(s.delay); s.due.Before(now) {
			s.due = now
		}
	}
	return p
}

// Stop ends all probing: results are ignored from now on.
func (p *Probes) Stop() {
	if p != nil {
		p.check, p.health = nil, nil
	}
}

// Wake returns when the next probe is due; zero: none is.
func (p *Probes) Wake() time.Time {
	var first time.Time
	for _, s := range p.all() {
		if !s.due.IsZero() && (first.IsZero() || s.due.Before(first)) {
			first = s.due
		}
	}
	return first
}

// Due returns the probes that are to be made now.
func (p *Probes) Due(now time.Time) []Request {
	var out []Request
	for _, s := range p.all() {
		if !s.due.IsZero() && !s.due.After(now) {
			s.due = time.Time{}
			out = append(out, s.what)
		}
	}
	return out
}

// Done takes the result of a probe that was due, and returns what is to be done
// about it; nil: nothing.
func (p *Probes) Done(now time.Time, r Result) *News {
	for _, s := range p.all() {
		if s.what.Kind != r.Kind || !s.due.IsZero() {
			continue
		}
		s.due = now.Add(s.interval)
		switch {
		case r.Status == nil && r.Failure == "":
			return nil
		case r.Kind == Check:
			return p.check.judge(r)
		default:
			return p.health.judge(now, Explain(r) == "")
		}
	}
	return nil
}

func (p *Probes) all() []*schedule {
	var all []*schedule
	if p != nil && p.check != nil {
		all = append(all, &p.check.schedule)
	}
	if p != nil && p.health != nil {
		all = append(all, &p.health.schedule)
	}
	return all
}

// schedule is when to make a probe.
type schedule struct {
	what            Request
	delay, interval time.Duration
	due             time.Time // zero: it is under way
}

// check is the state of a task's CheckInfo.
type check struct {
	schedule
	last *mesos.CheckStatusInfo
}

func newCheck(info *mesos.CheckInfo, last *mesos.TaskStatus) *check {
	c := &check{schedule: schedule{
		what:  Request{Kind: Check, Type: info.GetType(), Timeout: seconds(info.GetTimeoutSeconds())},
		delay: seconds(info.GetDelaySeconds()), interval: max(leastInterval, seconds(info.GetIntervalSeconds())),
	}, last: Empty(info)}
	if s := last.GetCheckStatus(); s != nil {
		c.last = s
	}
	switch {
	case info.GetType() == mesos.CheckInfo_COMMAND && info.GetCommand() != nil:
		c.what.Command = info.GetCommand().GetCommand()
	case info.GetType() == mesos.CheckInfo_HTTP && info.GetHttp() != nil:
		c.what.URL = url("http", mesos.NetworkInfo_IPv4, info.GetHttp().GetPort(), info.GetHttp().GetPath())
	case info.GetType() == mesos.CheckInfo_TCP && info.GetTcp() != nil:
		c.what.Address = address(mesos.NetworkInfo_IPv4, info.GetTcp().GetPort())
	default: // the master refuses it; there is nothing to probe
		return nil
	}
	return c
}

func (c *check) judge(r Result) *News {
	status := r.Status
	if status == nil {
		status = Empty(&mesos.CheckInfo{Type: c.what.Type.Enum()})
	}
	if status.EqualVT(c.last) {
		return nil
	}
	c.last = status
	return &News{Kind: Check, Status: status}
}

// Empty returns the status of a check that has found nothing (yet); nil for a task
// without one.
func Empty(info *mesos.CheckInfo) *mesos.CheckStatusInfo {
	if info == nil {
		return nil
	}
	s := &mesos.CheckStatusInfo{Type: info.Type}
	switch info.GetType() {
	case mesos.CheckInfo_COMMAND:
		s.Command = &mesos.CheckStatusInfo_Command{}
	case mesos.CheckInfo_HTTP:
		s.Http = &mesos.CheckStatusInfo_Http{}
	case mesos.CheckInfo_TCP:
		s.Tcp = &mesos.CheckStatusInfo_Tcp{}
	default:
	}
	return s
}

// health is the state of a task's HealthCheck.
type health struct {
	schedule
	graceEnds time.Time // failures until then count for nothing; zero: they count
	tolerated uint32    // as many failures in a row end the task
	failures  uint32    // in a row
	passed    bool      // has ever, or need not any more to be judged
}

func newHealth(launched time.Time, info *mesos.HealthCheck, last *mesos.TaskStatus) *health {
	h := &health{schedule: schedule{
		what:  Request{Kind: Health, Type: mesos.CheckInfo_Type(info.GetType()), Timeout: seconds(info.GetTimeoutSeconds())},
		delay: seconds(info.GetDelaySeconds()), interval: max(leastInterval, seconds(info.GetIntervalSeconds())),
	}, tolerated: info.GetConsecutiveFailures()}
	if grace := seconds(info.GetGracePeriodSeconds()); grace > 0 {
		h.graceEnds = launched.Add(grace)
	}
	if last != nil && last.Healthy != nil {
		h.passed = true // or else the grace period was over
		if !last.GetHealthy() {
			h.failures = 1 // at least: how many it were nobody remembers
		}
	}
	switch http, tcp := info.GetHttp(), info.GetTcp(); {
	case info.GetType() == mesos.HealthCheck_COMMAND && info.GetCommand() != nil:
		h.what.Command = info.GetCommand()
	case info.GetType() == mesos.HealthCheck_HTTP && http != nil:
		scheme := "http"
		if http.GetScheme() != "" {
			scheme = http.GetScheme()
		}
		h.what.URL = url(scheme, http.GetProtocol(), http.GetPort(), http.GetPath())
	case info.GetType() == mesos.HealthCheck_TCP && tcp != nil:
		// Mesos connects by IPv4 whatever the protocol is.
		h.what.Address = address(tcp.GetProtocol(), tcp.GetPort())
	default:
		return nil
	}
	return h
}

func (h *health) judge(now time.Time, passed bool) *News {
	if passed {
		tell := !h.passed || h.failures > 0
		h.passed, h.failures = true, 0
		if !tell {
			return nil
		}
		return &News{Kind: Health, Healthy: true}
	}
	if !h.passed && !h.graceEnds.IsZero() && !now.After(h.graceEnds) {
		return nil
	}
	if h.failures < math.MaxUint32 {
		h.failures++
	}
	return &News{Kind: Health, Kill: h.failures >= h.tolerated}
}

// Explain returns why a health check with this result has failed, "" if it has
// not.
func Explain(r Result) string {
	s := r.Status
	switch code := s.GetHttp().GetStatusCode(); {
	case s == nil:
		return r.Failure
	case s.GetType() == mesos.CheckInfo_COMMAND && s.GetCommand().GetExitCode() != 0:
		return fmt.Sprintf("Command exited with status %d", s.GetCommand().GetExitCode())
	case s.GetType() == mesos.CheckInfo_HTTP && (code < 200 || code >= 400):
		return fmt.Sprintf("Unexpected HTTP response code: %d", code)
	case s.GetType() == mesos.CheckInfo_TCP && !s.GetTcp().GetSucceeded():
		return "TCP connection failed"
	}
	return ""
}

// url returns that of a port of the task's own, by number: images need not know
// the name of localhost.
func url(scheme string, by mesos.NetworkInfo_Protocol, port uint32, path string) string {
	return scheme + "://" + address(by, port) + path
}

func address(by mesos.NetworkInfo_Protocol, port uint32) string {
	host := "127.0.0.1"
	if by == mesos.NetworkInfo_IPv6 {
		host = "[::1]"
	}
	return host + ":" + strconv.FormatUint(uint64(port), 10)
}

// forever is longer than any task lives, and can be added to any time.
const forever = 100 * 365 * 24 * time.Hour

func seconds(s float64) time.Duration {
	switch {
	case !(s > 0): // and what is not a number
		return 0
	case s > forever.Seconds():
		return forever
	}
	return time.Duration(s * float64(time.Second))
}

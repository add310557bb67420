package launcher

import (
	"fmt"
	"math"
	"strings"

	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Rlimit is a limit on what each process of a container may use of a resource.
type Rlimit struct {
	Name       string // the kernel's, RLIMIT_CORE
	Number     int    // the kernel's
	Soft, Hard uint64 // the kernel's greatest number for none
}

var rlimits = map[string]int{
	"RLIMIT_CPU": unix.RLIMIT_CPU, "RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_DATA": unix.RLIMIT_DATA, "RLIMIT_STACK": unix.RLIMIT_STACK,
	"RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_RSS": unix.RLIMIT_RSS, "RLIMIT_NPROC": unix.RLIMIT_NPROC, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE,
	"RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK, "RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS, "RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING,
	"RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE, "RLIMIT_NICE": unix.RLIMIT_NICE, "RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO, "RLIMIT_RTTIME": unix.RLIMIT_RTTIME,
}

// RlimitNumber returns the kernel's number of a limit by its name.
func RlimitNumber(name string) (number int, ok bool) {
	number, ok = rlimits[name]
	return number, ok
}

// Rlimits returns the limits that a container asks for.
func Rlimits(info *mesos.RLimitInfo) ([]Rlimit, error) {
	var out []Rlimit
	for _, r := range info.GetRlimits() {
		if (r.Hard == nil) != (r.Soft == nil) {
			return nil, fmt.Errorf("resource limit %s has one of a hard and a soft limit; give both, or none for no limit", r.GetType())
		}
		name := "RLIMIT_" + strings.TrimPrefix(r.GetType().String(), "RLMT_")
		number, ok := rlimits[name]
		if !ok {
			return nil, fmt.Errorf("unknown resource limit %s", r.GetType())
		}
		limit := Rlimit{Name: name, Number: number, Soft: math.MaxUint64, Hard: math.MaxUint64}
		if r.Hard != nil {
			limit.Soft, limit.Hard = r.GetSoft(), r.GetHard()
		}
		out = append(out, limit)
	}
	return out, nil
}

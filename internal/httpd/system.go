package httpd

import (
	"bytes"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/meseta-project/meseta/internal/wire"
)

// System is what is told of the machine that a server runs on.
type System struct {
	CPUs                 int
	Load1, Load5, Load15 float64 // mean number of processes that could run
	MemTotal, MemFree    uint64  // bytes; free is what nothing uses, not even as a cache
}

// ReadSystem returns the present state of the machine, with zeros for what the
// kernel does not tell.
func ReadSystem() System {
	s := System{CPUs: runtime.NumCPU()}
	load, _ := os.ReadFile("/proc/loadavg") // absent beside Linux
	if f := strings.Fields(string(load)); len(f) >= 3 {
		s.Load1, s.Load5, s.Load15 = float(f[0]), float(f[1]), float(f[2])
	}
	memory, _ := os.ReadFile("/proc/meminfo")
	s.MemTotal, s.MemFree = kilobytes(memory, "MemTotal:"), kilobytes(memory, "MemFree:")
	return s
}

func float(text string) float64 {
	f, _ := strconv.ParseFloat(text, 64) // 0 if it is no number
	return f
}

// kilobytes returns a line of /proc/meminfo in bytes.
func kilobytes(memory []byte, name string) uint64 {
	for line := range bytes.Lines(memory) {
		if f := bytes.Fields(line); len(f) >= 2 && string(f[0]) == name {
			n, _ := strconv.ParseUint(string(f[1]), 10, 64) // the kernel writes numbers
			return n << 10
		}
	}
	return 0
}

// Metrics adds the machine's metrics.
func (s System) Metrics(to map[string]float64) {
	to["system/cpus_total"] = float64(s.CPUs)
	to["system/load_1min"] = s.Load1
	to["system/load_5min"] = s.Load5
	to["system/load_15min"] = s.Load15
	to["system/mem_total_bytes"] = float64(s.MemTotal)
	to["system/mem_free_bytes"] = float64(s.MemFree)
}

// ServeSystem is /system/stats.json.
func ServeSystem(w http.ResponseWriter, r *http.Request) {
	s := ReadSystem()
	Render(w, r, func(out *wire.Writer) error {
		out.BeginObject()
		out.Key("avg_load_15min").Double(s.Load15)
		out.Key("avg_load_1min").Double(s.Load1)
		out.Key("avg_load_5min").Double(s.Load5)
		out.Key("cpus_total").Int(int64(s.CPUs))
		out.Key("mem_free_bytes").Int(int64(s.MemFree))
		out.Key("mem_total_bytes").Int(int64(s.MemTotal))
		out.EndObject()
		return nil
	})
}

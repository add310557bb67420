package agentd

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/ids"
)

// A Detector finds out which master leads.
type Detector interface {
	// Detect yields who leads, each time that changes, until ctx is done; nil
	// is nobody, which is also so before the first.
	Detect(ctx context.Context) iter.Seq[*mesos.MasterInfo]
}

// detect tells the core who leads.
func (s *Server) detect(ctx context.Context) {
	for leader := range s.cfg.Detector.Detect(ctx) {
		s.log.Info("leader detected", attr("leader", leader.GetPid()))
		s.tell(agent.MasterDetected{Master: ids.UPID(leader.GetPid())})
	}
}

// Machine is what an agent finds on its machine; Mesos's defaults stand for
// what cannot be found out.
type Machine struct {
	CPUs   int
	MemMB  uint64
	DiskMB uint64
}

// Detect looks at the machine. As Mesos does, it leaves a share to the system:
// half of what is small, a gigabyte of memory and 5 GB of disk else.
func Detect(workDir string) Machine {
	m := Machine{CPUs: runtime.NumCPU(), MemMB: 1024, DiskMB: 10 * 1024}
	if mem, err := totalMemoryMB(); err == nil {
		m.MemMB = keepBack(mem, 1024)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(workDir, &fs); err == nil {
		m.DiskMB = keepBack(fs.Blocks*uint64(fs.Bsize)>>20, 5*1024)
	}
	return m
}

func keepBack(total, reserve uint64) uint64 {
	if total >= 2*reserve {
		return total - reserve
	}
	return total / 2
}

func totalMemoryMB() (uint64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if kb, ok := strings.CutPrefix(lines.Text(), "MemTotal:"); ok {
			n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 10, 64)
			return n >> 10, err
		}
	}
	return 0, fmt.Errorf("no MemTotal in %s", f.Name())
}

// BootID returns the kernel's id of this boot, "" if it tells none.
func BootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// watchDisk tells the core how full the disk is, each interval.
func (s *Server) watchDisk(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.DiskWatch)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if projects := s.cfg.SandboxQuota.Projects; projects != nil {
			projects.Reclaim()
		}
		used, err := diskUsed(s.cfg.Agent.WorkDir)
		if err != nil {
			s.log.Warn("cannot measure the disk", attrErr(err))
			continue
		}
		s.tell(agent.DiskUsage{Used: used})
	}
}

// diskUsed returns which part of a file system is in use, from 0 to 1.
func diskUsed(path string) (float64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(path, &fs); err != nil {
		return 0, fmt.Errorf("measure the file system of %s: %w", path, err)
	}
	if fs.Blocks == 0 {
		return 0, nil
	}
	return float64(fs.Blocks-fs.Bfree) / float64(fs.Blocks), nil
}

package agentd

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/posix"
	"github.com/meseta-project/meseta/resources"
)

// PortWatch is how containers are held to the ports that they were given, in the
// machine's network.
type PortWatch struct {
	Every   time.Duration    // 0: not at all
	Enforce bool             // end those that listen elsewhere; else the log says so
	Within  resources.Ranges // ports that count; nil: all
}

// watchPorts looks at what containers listen at, each interval.
func (s *Server) watchPorts(ctx context.Context) {
	if s.cfg.PortWatch.Every == 0 {
		return
	}
	ticker := time.NewTicker(s.cfg.PortWatch.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.checkPorts(); err != nil {
			s.log.Warn("cannot see at which ports containers listen", attrErr(err))
		}
	}
}

// checkPorts ends the containers that listen where they were not to. Ports were
// given to the outermost container, for all within it.
func (s *Server) checkPorts() error {
	all, err := posix.LookForListeners()
	if err != nil {
		return err
	}
	seen := map[*container][]uint16{}
	names := map[*container]ids.ContainerID{}
	s.processes.Range(func(key, process any) bool {
		id := key.(ids.ContainerID)
		c, ok := s.containers.Load(id.Root())
		if ok && s.containerizer.Networks(id) == nil {
			c := c.(*container)
			if ports := c.unallocated(all.Of(process.(launcher.Process).PID())); len(ports) > 0 {
				seen[c], names[c] = append(seen[c], ports...), id
			}
		}
		return true
	})
	for c, ports := range seen {
		c.listensAt(names[c], ports)
	}
	return nil
}

// unallocated returns the ports that the container was not given, of those that
// count.
func (c *container) unallocated(ports []uint16) []uint16 {
	given := c.ports.Load()
	if given == nil || c.ended.Err() != nil {
		return nil // what it has is not known yet, or it is going
	}
	within := c.s.cfg.PortWatch.Within
	return slices.DeleteFunc(ports, func(p uint16) bool { return among(p, *given) || within != nil && !among(p, within) })
}

func among(port uint16, ranges resources.Ranges) bool {
	return slices.ContainsFunc(ranges, func(r resources.Range) bool { return r.Begin <= uint64(port) && uint64(port) <= r.End })
}

// listensAt ends a container that listens at ports that are not its own, or says so
// once.
func (c *container) listensAt(id ids.ContainerID, ports []uint16) {
	slices.Sort(ports)
	ports = slices.Compact(ports)
	found := portRanges(ports)
	message := fmt.Sprintf("Container %s is listening on unallocated port(s): %s", id, found)
	if last := c.listens.Swap(&message); last == nil || *last != message {
		c.s.log.Info("a container listens at ports that it was not given", attr("container", id),
			slog.String("ports", found.String()), slog.Bool("enforced", c.s.cfg.PortWatch.Enforce))
	}
	if !c.s.cfg.PortWatch.Enforce {
		return
	}
	c.beyond.CompareAndSwap(nil, &launcher.Limitation{
		Reason: mesos.TaskStatus_REASON_CONTAINER_LIMITATION, Message: message, Resource: "ports", Ranges: rangesProto(found),
	})
	c.end()
}

// portRanges returns sorted ports as ranges.
func portRanges(ports []uint16) resources.Ranges {
	var out resources.Ranges
	for _, p := range ports {
		if n := len(out); n > 0 && out[n-1].End+1 == uint64(p) {
			out[n-1].End++
			continue
		}
		out = append(out, resources.Range{Begin: uint64(p), End: uint64(p)})
	}
	return out
}

func rangesProto(ranges resources.Ranges) *mesos.Value_Ranges {
	out := &mesos.Value_Ranges{}
	for _, r := range ranges {
		out.Range = append(out.Range, &mesos.Value_Range{Begin: new(r.Begin), End: new(r.End)})
	}
	return out
}

// setPorts sets at which ports the container may listen.
func (c *container) setPorts(rs resources.Resources) { c.ports.Store(new(rs.Ports())) }

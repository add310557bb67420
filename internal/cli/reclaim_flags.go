package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/role"
)

// reclaimFlags are the flags by which guarantees are enforced. Mesos has none of
// them.
type reclaimFlags struct {
	On    bool
	After time.Duration
	master.Reclaim
}

func (r *reclaimFlags) define(set *flags.Set) {
	r.Roles = map[string]time.Duration{}
	set.Bool(&r.On, "reclaim", false, "Revoke tasks of roles that have more than they are guaranteed when others have long had less.")
	set.Duration(&r.After, "reclaim_after", time.Minute, "How long a role has less than it is guaranteed before tasks are revoked for it.").
		Check(func() error {
			if r.After <= 0 {
				return errors.New("--reclaim_after must be more than 0")
			}
			return nil
		})
	set.Func(r.roles, "reclaim_roles", "", "role=duration,…", "Roles for which --reclaim_after is another, or 'off'. They need no --reclaim.")
	set.Duration(&r.Grace, "reclaim_grace_period", 5*time.Second, "How long a revoked task has to end, unless it asks for less.")
}

func (r *reclaimFlags) roles(text string) error {
	for entry := range strings.SplitSeq(text, ",") {
		name, after, ok := strings.Cut(entry, "=")
		if err := role.Validate(name); err != nil {
			return err
		}
		switch d, err := flags.ParseDuration(after); {
		case !ok:
			return fmt.Errorf("%q is no role=duration", entry)
		case strings.Contains(name, "/"):
			return fmt.Errorf("role %s is below another: guarantees are of top-level roles", name)
		case after == "off":
			r.Roles[name] = 0
		case err != nil:
			return err
		case d <= 0:
			return fmt.Errorf("role %s: the time must be more than 0; 'off' is never", name)
		default:
			r.Roles[name] = d
		}
	}
	return nil
}

// config returns what the core is told.
func (r *reclaimFlags) config() master.Reclaim {
	c := master.Reclaim{Roles: r.Roles, Grace: r.Grace}
	if r.On {
		c.After = r.After
	}
	return c
}

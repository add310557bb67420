package validate

import (
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
)

// HealthCheck refuses a health check that lacks what its type needs, or with
// a negative time.
func HealthCheck(c *mesos.HealthCheck) error {
	if c.Type == nil {
		return refusal.Invalidf("HealthCheck must specify 'type'")
	}
	if err := healthCheckType(c); err != nil {
		return err
	}
	return nonNegative(
		seconds{"delay_seconds", c.DelaySeconds},
		seconds{"grace_period_seconds", c.GracePeriodSeconds},
		seconds{"interval_seconds", c.IntervalSeconds},
		seconds{"timeout_seconds", c.TimeoutSeconds},
	)
}

func healthCheckType(c *mesos.HealthCheck) error {
	switch c.GetType() {
	case mesos.HealthCheck_COMMAND:
		if c.Command == nil {
			return refusal.Invalidf("Expecting 'command' to be set for COMMAND health check")
		}
		if c.Command.Value == nil {
			return refusal.Invalidf("Command health check must contain %s", commandForm(c.Command))
		}
		return within("Health check's `CommandInfo` is invalid", CommandInfo(c.Command))
	case mesos.HealthCheck_HTTP:
		return httpHealthCheck(c.Http)
	case mesos.HealthCheck_TCP:
		if c.Tcp == nil {
			return refusal.Invalidf("Expecting 'tcp' to be set for TCP health check")
		}
		return nil
	default:
		return refusal.Invalidf("'%s' is not a valid health check type", c.GetType())
	}
}

func httpHealthCheck(c *mesos.HealthCheck_HTTPCheckInfo) error {
	if c == nil {
		return refusal.Invalidf("Expecting 'http' to be set for HTTP health check")
	}
	if c.Scheme != nil && c.GetScheme() != "http" && c.GetScheme() != "https" {
		return refusal.Invalidf("Unsupported HTTP health check scheme: '%s'", c.GetScheme())
	}
	if c.Path != nil && !strings.HasPrefix(c.GetPath(), "/") {
		return refusal.Invalidf("The path '%s' of HTTP health check must start with '/'", c.GetPath())
	}
	return nil
}

// CheckInfo refuses a check that lacks what its type needs, or with a negative
// time.
func CheckInfo(c *mesos.CheckInfo) error {
	if c.Type == nil {
		return refusal.Invalidf("CheckInfo must specify 'type'")
	}
	if err := checkType(c); err != nil {
		return err
	}
	return nonNegative(
		seconds{"delay_seconds", c.DelaySeconds},
		seconds{"interval_seconds", c.IntervalSeconds},
		seconds{"timeout_seconds", c.TimeoutSeconds},
	)
}

func checkType(c *mesos.CheckInfo) error {
	switch c.GetType() {
	case mesos.CheckInfo_COMMAND:
		if c.Command == nil {
			return refusal.Invalidf("Expecting 'command' to be set for COMMAND check")
		}
		if command := c.Command.GetCommand(); command.GetValue() == "" && command.Value == nil {
			return refusal.Invalidf("Command check must contain %s", commandForm(command))
		}
		return within("Check's `CommandInfo` is invalid", CommandInfo(c.Command.GetCommand()))
	case mesos.CheckInfo_HTTP:
		if c.Http == nil {
			return refusal.Invalidf("Expecting 'http' to be set for HTTP check")
		}
		if c.Http.Path != nil && !strings.HasPrefix(c.Http.GetPath(), "/") {
			return refusal.Invalidf("The path '%s' of HTTP check must start with '/'", c.Http.GetPath())
		}
		return nil
	case mesos.CheckInfo_TCP:
		if c.Tcp == nil {
			return refusal.Invalidf("Expecting 'tcp' to be set for TCP check")
		}
		return nil
	default:
		return refusal.Invalidf("'%s' is not a valid check type", c.GetType())
	}
}

// CheckStatusInfo refuses a check's result that is not of its type.
func CheckStatusInfo(s *mesos.CheckStatusInfo) error {
	if s.Type == nil {
		return refusal.Invalidf("CheckStatusInfo must specify 'type'")
	}
	missing := func(field string) error {
		return refusal.Invalidf("Expecting '%s' to be set for %s check's status", field, s.GetType())
	}
	switch s.GetType() {
	case mesos.CheckInfo_COMMAND:
		if s.Command == nil {
			return missing("command")
		}
	case mesos.CheckInfo_HTTP:
		if s.Http == nil {
			return missing("http")
		}
	case mesos.CheckInfo_TCP:
		if s.Tcp == nil {
			return missing("tcp")
		}
	default:
		return refusal.Invalidf("'%s' is not a valid check's status type", s.GetType())
	}
	return nil
}

// commandForm says what a command without a value lacks.
func commandForm(c *mesos.CommandInfo) string {
	if c.GetShell() {
		return "'shell command'"
	}
	return "'executable path'"
}

type seconds struct {
	field string
	value *float64
}

func nonNegative(all ...seconds) error {
	for _, s := range all {
		if s.value != nil && *s.value < 0 {
			return refusal.Invalidf("Expecting '%s' to be non-negative", s.field)
		}
	}
	return nil
}

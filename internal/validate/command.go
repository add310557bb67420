package validate

import (
	"bytes"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
)

// CommandInfo refuses a command with an environment that cannot be.
func CommandInfo(c *mesos.CommandInfo) error { return Environment(c.GetEnvironment()) }

// Environment refuses variables that are not either a value or a secret.
func Environment(env *mesos.Environment) error {
	for _, v := range env.GetVariables() {
		if err := variable(v); err != nil {
			return err
		}
	}
	return nil
}

func variable(v *mesos.Environment_Variable) error {
	switch v.GetType() {
	case mesos.Environment_Variable_SECRET:
		return secretVariable(v)
	case mesos.Environment_Variable_VALUE:
		if v.Value == nil {
			return refusal.Invalidf("Environment variable '%s' of type 'VALUE' must have a value set", v.GetName())
		}
		if v.Secret != nil {
			return refusal.Invalidf("Environment variable '%s' of type 'VALUE' must not have a secret set", v.GetName())
		}
		return nil
	default:
		return refusal.Invalidf("Environment variable of type 'UNKNOWN' is not allowed")
	}
}

func secretVariable(v *mesos.Environment_Variable) error {
	if v.Secret == nil {
		return refusal.Invalidf("Environment variable '%s' of type 'SECRET' must have a secret set", v.GetName())
	}
	if v.Value != nil {
		return refusal.Invalidf("Environment variable '%s' of type 'SECRET' must not have a value set", v.GetName())
	}
	if err := Secret(v.Secret); err != nil {
		return refusal.Invalidf("Environment variable '%s' specifies an invalid secret: %s", v.GetName(), err)
	}
	if bytes.IndexByte(v.Secret.GetValue().GetData(), 0) >= 0 {
		return refusal.Invalidf("Environment variable '%s' specifies a secret containing null bytes,"+
			" which is not allowed in the environment", v.GetName())
	}
	return nil
}

// Secret refuses a secret that does not hold what its type says.
func Secret(s *mesos.Secret) error {
	switch s.GetType() {
	case mesos.Secret_REFERENCE:
		if s.Reference == nil {
			return refusal.Invalidf("Secret of type REFERENCE must have the 'reference' field set")
		}
		if s.Value != nil {
			return refusal.Invalidf("Secret '%s' of type REFERENCE must not have the 'value' field set",
				s.Reference.GetName())
		}
	case mesos.Secret_VALUE:
		if s.Value == nil {
			return refusal.Invalidf("Secret of type VALUE must have the 'value' field set")
		}
		if s.Reference != nil {
			return refusal.Invalidf("Secret of type VALUE must not have the 'reference' field set")
		}
	default: // of a type yet to come, which only the agent may know
	}
	return nil
}

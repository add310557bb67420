package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/meseta-project/meseta/leader"
	"github.com/meseta-project/meseta/operator"
)

const (
	defaultMaster  = "127.0.0.1:5050"
	masterVariable = "MESETA_MASTER"
)

// defineMaster adds the flag by which a command's cluster is named.
func defineMaster(f *pflag.FlagSet, to *string) {
	master := os.Getenv(masterVariable)
	if master == "" {
		master = defaultMaster
	}
	f.StringVar(to, "master", master, "`address` of a master, several with commas between, or zk://… or etcd://… where they elect a leader; $"+masterVariable+" sets the default")
}

func defineCredential(f *pflag.FlagSet, principal, secret *string) {
	f.StringVar(principal, "principal", "", "principal to authenticate as")
	f.StringVar(secret, "secret", "", "`file` with the principal's secret")
}

// access is how a command reaches its cluster.
type access struct {
	where             string // the masters, as they were given
	masters           []string
	leader            func(context.Context) (string, error) // finds the leader in place of masters; or nil
	principal, secret string
}

// at has c find the master that text names, as agents do. Addresses are left to
// the client, which follows masters that redirect.
func (c *access) at(text string, log *slog.Logger) error {
	c.where = shown(map[string]string{"master": text})["master"]
	if !leader.InStore(text) {
		c.masters = strings.Split(text, ",")
		return nil
	}
	found, err := leader.New(leader.Config{Where: text, Log: log})
	if err != nil {
		return fmt.Errorf("--master: %w", err)
	}
	c.leader = found.Find
	return nil
}

// readSecret reads the principal's secret from a file; none is none.
func (c *access) readSecret(path string) error {
	if path == "" {
		return nil
	}
	secret, err := readSecrets(path, slog.New(slog.DiscardHandler))
	if err != nil {
		return fmt.Errorf("read the secret: %w", err)
	}
	c.secret = strings.TrimSuffix(string(secret), "\n")
	return nil
}

// config returns what an operator's client needs to reach the leading master.
func (c *access) config() operator.Config {
	return operator.Config{Addresses: c.masters, Leader: c.leader, Principal: c.principal, Secret: c.secret}
}

// whereToLook says what to do about a master's refusal, if it is of a kind that is
// known: which command shows what there is by such a name, or what else would do.
func whereToLook(refusal string) string {
	switch {
	case strings.HasPrefix(refusal, "Unknown agent"), strings.HasPrefix(refusal, "There is no agent"):
		return "\n'meseta agents' lists those that there are"
	case strings.HasPrefix(refusal, "No framework"), strings.HasPrefix(refusal, "There is no framework"):
		return "\n'meseta frameworks' lists those that there are, with their roles"
	case strings.Contains(refusal, "(use 'force' flag to bypass this check)"):
		return "\n'meseta quota --all' shows what roles have and are guaranteed; --force sets it all the same"
	case strings.Contains(refusal, "is not contained within the 'QuotaConfig.limits'"):
		return "\nWhat is not given stays as it is: give --limit as well, or take it away with --limit ''"
	case strings.HasPrefix(refusal, "Updating quota on nested role"):
		return "\nA quota is for a top-level role with all roles below it: set it there"
	case strings.Contains(refusal, "is not on the roles whitelist"), strings.Contains(refusal, ": Unknown role"):
		return "\nThe master's flag --roles names those that there may be"
	default:
		return ""
	}
}

// explain says what to do about a master that did not answer as it should. An
// answer that only says that we may not look, or that it does not know how, is
func (c *access) explain(err error) error {
	at := c.where
	refused, answered := errors.AsType[*operator.StatusError](err)
	failed, unreached := errors.AsType[*net.OpError](err)
	if unreached {
		err = failed.Err
	}
	switch {
	case answered && refused.Status == 401:
		return fmt.Errorf("the master at %s wants to know who we are: %w\nSay so with --principal and --secret", at, err)
	case answered && refused.Status == 404:
		return fmt.Errorf("what answers at %s is no Mesos master: %w", at, err)
	case answered && refused.Status == 503:
		return fmt.Errorf("the master at %s does not lead, or is not ready yet: %w\nTry again in a moment", at, err)
	case answered:
		return nil
	case unreached || errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no master answers at %s: %w\n"+
			"Start a cluster with 'meseta dev', or say where one is with --master HOST:PORT", at, err)
	default:
		return fmt.Errorf("ask the master at %s: %w", at, err)
	}
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	explainLimit   = 16 << 20 // bytes of an answer
	explainTimeout = 30 * time.Second
)

// explainOptions are the flags of "meseta explain".
type explainOptions struct {
	lookOptions
	Role, Agent string
	JSON        bool
	framework   string
}

func explainCommand() *cobra.Command {
	var o explainOptions
	cmd := o.define(&cobra.Command{
		Use:   "explain FRAMEWORK | --role ROLE [flags]",
		Short: "Say what stands between a framework and an offer",
		Long: "Asks the leading master why a framework, or the frameworks of a role, are offered what they are:\n" +
			"what stands in the way on how many agents, the most common reason first, and until when.",
		Example: "  meseta explain 20260101-0000-0001\n" +
			"  meseta explain --role eng\n" +
			"  meseta explain 20260101-0000-0001 --agent 20260101-0000-S7 --json | jq .explanations[0].findings",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.framework = strings.Join(args, "")
			if o.framework == "" && o.Role == "" {
				return errors.New("name a framework's ID, or a role with --role; meseta frameworks lists both")
			}
			return o.run(cmd.Context(), cmd.OutOrStdout())
		},
	})
	cmd.Flags().StringVar(&o.Role, "role", "", "role to explain: of the framework, or of all that are subscribed to it")
	cmd.Flags().StringVar(&o.Agent, "agent", "", "`ID` of the agent to explain; all by default")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print the master's answer as JSON")
	return cmd
}

// run prints the answer of the first master that gives one.
func (o *explainOptions) run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	masters, err := o.addresses(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, master := range masters {
		body, err := o.ask(ctx, master)
		if err == nil {
			_, err = fmt.Fprintln(out, strings.TrimRight(body, "\n"))
			return err
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// addresses returns whom to ask, the leader if there is a way to find it.
func (o *explainOptions) addresses(ctx context.Context) ([]string, error) {
	o.principal = o.Principal
	if err := errors.Join(o.at(o.Master, slog.New(slog.DiscardHandler)), o.readSecret(o.Secret)); err != nil {
		return nil, err
	}
	if o.leader == nil {
		return o.masters, nil
	}
	leader, err := o.leader(ctx)
	return []string{leader}, err
}

// ask asks one master, which sends on to the leader if it is not that itself.
func (o *explainOptions) ask(ctx context.Context, master string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url(master), nil)
	if err != nil {
		return "", err
	}
	authorize := func(r *http.Request) {
		if o.principal != "" {
			r.SetBasicAuth(o.principal, o.secret)
		}
	}
	authorize(request)
	asker := &http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
		authorize(r)
		if len(via) > 5 {
			return errors.New("the masters send on to each other: none leads")
		}
		return nil
	}}
	answer, err := asker.Do(request)
	if err != nil {
		return "", o.because(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, explainLimit))
	switch {
	case err != nil:
		return "", fmt.Errorf("read the answer of %s: %w", master, err)
	case answer.StatusCode != http.StatusOK:
		why := strings.TrimSpace(string(body))
		return "", fmt.Errorf("%s answers %d: %s%s", master, answer.StatusCode, why, whereToLook(why))
	}
	return string(body), nil
}

// url is where a master answers the question.
func (o *explainOptions) url(master string) string {
	if !strings.Contains(master, "://") {
		master = "http://" + master
	}
	q := url.Values{}
	for key, value := range map[string]string{"framework_id": o.framework, "role": o.Role, "agent_id": o.Agent} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if !o.JSON {
		q.Set("format", "text")
	}
	return strings.TrimRight(master, "/") + "/explain?" + q.Encode()
}

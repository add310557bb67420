package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/operator"
	"github.com/meseta-project/meseta/resources"
)

// lookOptions are the flags of all commands that look at a cluster.
type lookOptions struct {
	access
	Master, Principal, Secret string
}

func (o *lookOptions) define(cmd *cobra.Command) *cobra.Command {
	f := cmd.Flags()
	f.SortFlags = false
	defineMaster(f, &o.Master)
	defineCredential(f, &o.Principal, &o.Secret)
	return cmd
}

// open returns the master to ask.
func (o *lookOptions) open() (*operator.Master, error) {
	o.principal = o.Principal
	if err := errors.Join(o.at(o.Master, slog.New(slog.DiscardHandler)), o.readSecret(o.Secret)); err != nil {
		return nil, err
	}
	return operator.NewMaster(o.config())
}

// because returns the error of a call to the master, with what to do about it.
func (o *lookOptions) because(err error) error {
	if err == nil {
		return nil
	}
	if why := o.explain(err); why != nil {
		return why
	}
	if refused, ok := errors.AsType[*operator.StatusError](err); ok {
		return fmt.Errorf("%w%s", err, whereToLook(refused.Message))
	}
	return err
}

// A look is a command that asks the master once and shows the answer: as a table
// for people, or with --json as the operator API gives it.
type look[T proto.Message] struct {
	lookOptions
	json bool
	ask  func(*operator.Master, context.Context) (T, error)
	show func(io.Writer, T)
}

func (l *look[T]) command(cmd *cobra.Command) *cobra.Command {
	l.define(cmd)
	cmd.Flags().BoolVar(&l.json, "json", false, "show the master's answer as JSON, as the operator API has it")
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		m, err := l.open()
		if err != nil {
			return err
		}
		answer, err := l.ask(m, cmd.Context())
		if err != nil {
			return l.because(err)
		}
		if l.json {
			_, err = cmd.OutOrStdout().Write(append(wire.AppendJSON(nil, answer), '\n'))
			return err
		}
		l.show(cmd.OutOrStdout(), answer)
		return nil
	}
	return cmd
}

// table writes rows below a head, in columns.

func table(out io.Writer, head string, rows [][]string) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // whoever reads may go away
}

// use says how much of what there is of a resource is used.
func use(name string, used, total resources.Resources) string {
	return fmt.Sprintf("%s/%s", used.Scalar(name), total.Scalar(name))
}

// have returns resources as a master tells them.
func have(rs []*mesos.Resource) resources.Resources { return resources.Trusted(rs).Unallocated() }

// orDash returns s, or "-" for none.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

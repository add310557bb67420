package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/operator"
	"github.com/meseta-project/meseta/resources"
)

func statusCommand() *cobra.Command {
	l := look[*masterpb.Response_GetState]{ask: (*operator.Master).State}
	cmd := l.command(&cobra.Command{
		Use:     "status",
		Short:   "Say how the cluster is: agents, resources, frameworks, tasks",
		Example: "  meseta status\n  meseta status --master zk://10.0.0.1,10.0.0.2,10.0.0.3/mesos",
	})
	var leader string
	ask := l.ask
	l.ask = func(m *operator.Master, ctx context.Context) (*masterpb.Response_GetState, error) {
		state, err := ask(m, ctx)
		leader = m.Address()
		return state, err
	}
	l.show = func(out io.Writer, s *masterpb.Response_GetState) {
		fmt.Fprintf(out, "leader      %s\n", leader)
		showStatus(out, s)
	}
	return cmd
}

func showStatus(out io.Writer, s *masterpb.Response_GetState) {
	var total, used, offered resources.Resources
	agents := map[string]int{}
	for _, a := range s.GetGetAgents().GetAgents() {
		agents[agentState(a)]++
		total, used, offered = total.Add(have(a.GetTotalResources())), used.Add(have(a.GetAllocatedResources())), offered.Add(have(a.GetOfferedResources()))
	}
	agents["recovered"] = len(s.GetGetAgents().GetRecoveredAgents())
	frameworks, tasks := map[string]int{}, map[string]int{}
	for _, f := range s.GetGetFrameworks().GetFrameworks() {
		frameworks[frameworkState(f)]++
	}
	for _, t := range s.GetGetTasks().GetTasks() {
		tasks[taskState(t)]++
	}
	fmt.Fprintf(out, "agents      %s\nframeworks  %s\ntasks       %s\n", counted(agents), counted(frameworks), counted(tasks))
	for _, name := range []string{"cpus", "mem", "disk", "gpus"} {
		if all := total.Scalar(name); all > 0 {
			fmt.Fprintf(out, "%-10s  %s of %s used, %s offered\n", name, used.Scalar(name), all, offered.Scalar(name))
		}
	}
}

// counted lists how many of each there are.
func counted(of map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		if of[name] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", of[name], name))
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func agentsCommand() *cobra.Command {
	l := look[*masterpb.Response_GetAgents]{ask: (*operator.Master).Agents, show: showAgents}
	return l.command(&cobra.Command{
		Use:     "agents",
		Short:   "List the agents with what they have, and how much of it is used",
		Example: "  meseta agents\n  meseta agents --json | jq -r '.agents[].agent_info.hostname'",
	})
}

func showAgents(out io.Writer, answer *masterpb.Response_GetAgents) {
	var rows [][]string
	for _, a := range answer.GetAgents() {
		used, all := have(a.GetAllocatedResources()), have(a.GetTotalResources())
		rows = append(rows, []string{
			a.GetAgentInfo().GetId().GetValue(), a.GetAgentInfo().GetHostname(), agentAddress(a), agentState(a),
			use("cpus", used, all), use("mem", used, all), use("disk", used, all),
		})
	}
	for _, a := range answer.GetRecoveredAgents() {
		rows = append(rows, []string{a.GetId().GetValue(), a.GetHostname(), "-", "recovered", "-", "-", "-"})
	}
	table(out, "ID\tHOSTNAME\tADDRESS\tSTATE\tCPUS USED\tMEM USED\tDISK USED", rows)
}

// agentAddress returns where the agent serves its API.
func agentAddress(a *masterpb.Response_GetAgents_Agent) string {
	_, address, _ := strings.Cut(a.GetPid(), "@")
	return address
}

func agentState(a *masterpb.Response_GetAgents_Agent) string {
	switch drain := a.GetDrainInfo(); {
	case drain != nil:
		return strings.ToLower(drain.GetState().String())
	case a.GetDeactivated():
		return "deactivated"
	case a.GetActive():
		return "active"
	}
	return "away"
}

func frameworksCommand() *cobra.Command {
	l := look[*masterpb.Response_GetFrameworks]{ask: (*operator.Master).Frameworks}
	cmd := l.command(&cobra.Command{
		Use:     "frameworks",
		Short:   "List the frameworks with what they use and are offered",
		Example: "  meseta frameworks\n  meseta frameworks --all      # those that are over, too",
	})
	all := cmd.Flags().Bool("all", false, "list frameworks that are over, too")
	l.show = func(out io.Writer, answer *masterpb.Response_GetFrameworks) { showFrameworks(out, answer, *all) }
	return cmd
}

func showFrameworks(out io.Writer, answer *masterpb.Response_GetFrameworks, all bool) {
	var rows [][]string
	row := func(f *masterpb.Response_GetFrameworks_Framework, state string) {
		used, offered := have(f.GetAllocatedResources()), have(f.GetOfferedResources())
		rows = append(rows, []string{
			f.GetFrameworkInfo().GetId().GetValue(), f.GetFrameworkInfo().GetName(), state, roles(f.GetFrameworkInfo()),
			used.Scalar("cpus").String(), used.Scalar("mem").String(), offered.Scalar("cpus").String(), offered.Scalar("mem").String(),
		})
	}
	for _, f := range answer.GetFrameworks() {
		row(f, frameworkState(f))
	}
	if all {
		for _, f := range answer.GetCompletedFrameworks() {
			row(f, "over")
		}
	}
	table(out, "ID\tNAME\tSTATE\tROLES\tCPUS\tMEM\tCPUS OFFERED\tMEM OFFERED", rows)
}

func roles(info *mesos.FrameworkInfo) string {
	if len(info.GetRoles()) > 0 {
		return strings.Join(info.GetRoles(), ",")
	}
	return info.GetRole()
}

func frameworkState(f *masterpb.Response_GetFrameworks_Framework) string {
	switch {
	case f.GetRecovered():
		return "recovered"
	case !f.GetConnected():
		return "disconnected"
	case !f.GetActive():
		return "inactive"
	}
	return "active"
}

func tasksCommand() *cobra.Command {
	l := look[*masterpb.Response_GetTasks]{ask: (*operator.Master).Tasks}
	cmd := l.command(&cobra.Command{
		Use:     "tasks",
		Short:   "List the tasks with where they run and how they are",
		Example: "  meseta tasks\n  meseta tasks --all --framework spark    # by ID, or the end of one",
	})
	all := cmd.Flags().Bool("all", false, "list tasks that are over, too")
	framework := cmd.Flags().String("framework", "", "only tasks of the framework whose ID is this, or ends so")
	ask := l.ask
	l.ask = func(m *operator.Master, ctx context.Context) (*masterpb.Response_GetTasks, error) {
		answer, err := ask(m, ctx)
		if err == nil && !l.json {
			l.sayWhatTheyWaitFor(ctx, m, answer.GetTasks())
		}
		return answer, err
	}
	l.show = func(out io.Writer, answer *masterpb.Response_GetTasks) { showTasks(out, answer, *all, *framework) }
	return cmd
}

func showTasks(out io.Writer, answer *masterpb.Response_GetTasks, all bool, framework string) {
	tasks := slices.Concat(answer.GetTasks(), answer.GetUnreachableTasks())
	if all {
		tasks = append(tasks, answer.GetCompletedTasks()...)
	}
	var rows [][]string
	for _, t := range tasks {
		if strings.HasSuffix(t.GetFrameworkId().GetValue(), framework) {
			used := have(t.GetResources())
			rows = append(rows, []string{
				t.GetTaskId().GetValue(), t.GetName(), taskState(t), orDash(message(t)), t.GetFrameworkId().GetValue(), t.GetAgentId().GetValue(),
				used.Scalar("cpus").String(), used.Scalar("mem").String(),
			})
		}
	}
	table(out, "ID\tNAME\tSTATE\tWHY\tFRAMEWORK\tAGENT\tCPUS\tMEM", rows)
}

func taskState(t *mesos.Task) string {
	return strings.ToLower(strings.TrimPrefix(t.GetState().String(), "TASK_"))
}

// message returns what was said of the task's present state, in one line.
func message(t *mesos.Task) string {
	var last *mesos.TaskStatus
	for _, s := range t.GetStatuses() { // of an end the first, which says why
		if s.GetState() == t.GetState() && (last == nil || !terminal(s.GetState())) {
			last = s
		}
	}
	if last == nil {
		return ""
	}
	text := last.GetMessage()
	if text == "" && last.Reason != nil {
		text = last.GetReason().String()
	}
	text, _, _ = strings.Cut(text, "\n")
	if r := []rune(text); len(r) > mostMessage {
		text = string(r[:mostMessage]) + "…"
	}
	return text
}

// mostMessage is how much of a status's message a table shows.
const mostMessage = 50

package operator

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	"github.com/meseta-project/meseta/internal/client"
)

// silence is how long an agent that sends heartbeats may send nothing at all.
const silence = 5 * time.Minute

// ContainerOutput is what a container writes. One goroutine reads it; any may close
// it.
type ContainerOutput struct {
	stream *client.Stream
}

// Session runs a command in a container, as a container nested in it whose id is
// given, until the output is closed. container says what more it is to have, such as
// a terminal; it may be nil.
func (a *Agent) Session(ctx context.Context, id *mesos.ContainerID, command *mesos.CommandInfo, container *mesos.ContainerInfo) (*ContainerOutput, error) {
	return a.output(ctx, &agentpb.Call{
		Type:                         agentpb.Call_LAUNCH_NESTED_CONTAINER_SESSION.Enum(),
		LaunchNestedContainerSession: &agentpb.Call_LaunchNestedContainerSession{ContainerId: id, Command: command, Container: container},
	})
}

// AttachOutput attaches to what a container writes, which must have a terminal or
// be a session.
func (a *Agent) AttachOutput(ctx context.Context, id *mesos.ContainerID) (*ContainerOutput, error) {
	return a.output(ctx, &agentpb.Call{
		Type:                  agentpb.Call_ATTACH_CONTAINER_OUTPUT.Enum(),
		AttachContainerOutput: &agentpb.Call_AttachContainerOutput{ContainerId: id},
	})
}

func (a *Agent) output(ctx context.Context, call *agentpb.Call) (*ContainerOutput, error) {
	// The agent ends the connection with the stream: it is not for the next call.
	stream, err := a.api.Open(ctx, call, http.Header{"Connection": {"close"}}, silence)
	if err != nil {
		return nil, err
	}
	return &ContainerOutput{stream}, nil
}

// Copy writes what the container writes until it has ended, and then returns nil.
// A writer's error ends it, as does a connection that breaks: an agent cuts off who
// does not keep up with what a container writes.
func (o *ContainerOutput) Copy(stdout, stderr io.Writer) error {
	for {
		p := &agentpb.ProcessIO{}
		err := o.stream.Next(p)
		if err == io.EOF { //nolint:errorlint // Next returns it bare
			return nil
		}
		if err != nil {
			return err
		}
		to := stdout
		if p.GetData().GetType() == agentpb.ProcessIO_Data_STDERR {
			to = stderr
		}
		if _, err := to.Write(p.GetData().GetData()); err != nil {
			return err
		}
	}
}

// Close hangs up. It ends a session.
func (o *ContainerOutput) Close() { o.stream.Close() }

// ContainerInput gives input to a container. Any number of goroutines may use it.
type ContainerInput struct {
	api  *client.Client
	mu   sync.Mutex // a record is written whole
	pipe *io.PipeWriter
	done chan struct{}
	err  error // once done is closed
}

// inputHeartbeat is how often an agent hears that we are there.
const inputHeartbeat = 30 * time.Second

// AttachInput attaches to the input of a container, which must have a terminal or be
// a session. That it was refused is told by [ContainerInput.Wait].
func (a *Agent) AttachInput(ctx context.Context, id *mesos.ContainerID) *ContainerInput {
	from, to := io.Pipe()
	i := &ContainerInput{api: a.api, pipe: to, done: make(chan struct{})}
	go func() {
		defer close(i.done)
		i.err = a.api.Upload(ctx, from)
		from.CloseWithError(io.ErrClosedPipe)
	}()
	i.mu.Lock() // nothing comes before the container's name
	go i.begin(id)
	return i
}

// begin says which container it is, and then now and again that we are there.
func (i *ContainerInput) begin(id *mesos.ContainerID) {
	record, err := i.api.Encode(&agentpb.Call{
		Type: agentpb.Call_ATTACH_CONTAINER_INPUT.Enum(),
		AttachContainerInput: &agentpb.Call_AttachContainerInput{
			Type: agentpb.Call_AttachContainerInput_CONTAINER_ID.Enum(), ContainerId: id,
		},
	})
	if err == nil {
		_, err = i.pipe.Write(record)
	}
	i.mu.Unlock()
	if err == nil {
		i.beat()
	}
}

func (i *ContainerInput) beat() {
	tick := time.NewTicker(inputHeartbeat)
	defer tick.Stop()
	nanoseconds := inputHeartbeat.Nanoseconds()
	for {
		err := i.control(&agentpb.ProcessIO_Control{
			Type:      agentpb.ProcessIO_Control_HEARTBEAT.Enum(),
			Heartbeat: &agentpb.ProcessIO_Control_Heartbeat{Interval: &mesos.DurationInfo{Nanoseconds: &nanoseconds}},
		})
		if err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-i.done:
			return
		}
	}
}

func (i *ContainerInput) control(c *agentpb.ProcessIO_Control) error {
	return i.send(&agentpb.Call_AttachContainerInput{
		Type:      agentpb.Call_AttachContainerInput_PROCESS_IO.Enum(),
		ProcessIo: &agentpb.ProcessIO{Type: agentpb.ProcessIO_CONTROL.Enum(), Control: c},
	})
}

func (i *ContainerInput) send(of *agentpb.Call_AttachContainerInput) error {
	record, err := i.api.Encode(&agentpb.Call{Type: agentpb.Call_ATTACH_CONTAINER_INPUT.Enum(), AttachContainerInput: of})
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	_, err = i.pipe.Write(record)
	return err
}

// Write gives input to the container; no bytes are the end of its input, if it has
// no terminal.
func (i *ContainerInput) Write(data []byte) (int, error) {
	err := i.send(&agentpb.Call_AttachContainerInput{
		Type: agentpb.Call_AttachContainerInput_PROCESS_IO.Enum(),
		ProcessIo: &agentpb.ProcessIO{Type: agentpb.ProcessIO_DATA.Enum(), Data: &agentpb.ProcessIO_Data{
			Type: agentpb.ProcessIO_Data_STDIN.Enum(), Data: append([]byte{}, data...), // none is not the same as no field
		}},
	})
	if err != nil {
		return 0, err
	}
	return len(data), nil
}

// Resize sets the size of the container's terminal.
func (i *ContainerInput) Resize(rows, columns uint32) error {
	return i.control(&agentpb.ProcessIO_Control{
		Type:    agentpb.ProcessIO_Control_TTY_INFO.Enum(),
		TtyInfo: &mesos.TTYInfo{WindowSize: &mesos.TTYInfo_WindowSize{Rows: &rows, Columns: &columns}},
	})
}

// Close says that nothing more is given. What was given is taken still.
func (i *ContainerInput) Close() error { return i.pipe.Close() }

// Wait waits for the agent's answer: nil when all was taken.
func (i *ContainerInput) Wait() error {
	<-i.done
	return i.err
}

// WaitContainer returns how a nested container has ended, as a raw wait status, and
// whether the agent knows; it waits for that at most half a minute.
func (a *Agent) WaitContainer(ctx context.Context, id *mesos.ContainerID) (status int, known bool, err error) {
	r, err := a.Call(ctx, &agentpb.Call{
		Type: agentpb.Call_WAIT_NESTED_CONTAINER.Enum(), WaitNestedContainer: &agentpb.Call_WaitNestedContainer{ContainerId: id},
	})
	exit := r.GetWaitNestedContainer()
	return int(exit.GetExitStatus()), exit != nil && exit.ExitStatus != nil, err
}

// RemoveContainer has the agent forget a nested container that has ended.
func (a *Agent) RemoveContainer(ctx context.Context, id *mesos.ContainerID) error {
	_, err := a.Call(ctx, &agentpb.Call{
		Type: agentpb.Call_REMOVE_NESTED_CONTAINER.Enum(), RemoveNestedContainer: &agentpb.Call_RemoveNestedContainer{ContainerId: id},
	})
	return err
}

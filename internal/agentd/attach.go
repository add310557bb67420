package agentd

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	"github.com/meseta-project/meseta/internal/containerizer"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher/posix"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/internal/wire"
)

// patience is how long one who has attached may take none of the output. A session
// waits for its owner, who may have a look at what there is.
const (
	attachPatience  = 30 * time.Second
	sessionPatience = 5 * time.Minute
)

// streamable refuses to stream what is not.
func streamable(call agentpb.Call_Type, m httpd.Media) error {
	const input = agentpb.Call_ATTACH_CONTAINER_INPUT
	switch {
	case m.Content == wire.RecordIO && call != input:
		return &httpd.StatusError{
			Status:  http.StatusUnsupportedMediaType,
			Message: "Streaming 'Content-Type' " + wire.RecordIO + " is not supported for " + call.String() + " call",
		}
	case m.Content != wire.RecordIO && call == input:
		return &httpd.StatusError{
			Status:  http.StatusUnsupportedMediaType,
			Message: "Expecting 'Content-Type' to be " + wire.RecordIO + " for " + call.String() + " call",
		}
	case m.Accept == wire.RecordIO && call != agentpb.Call_ATTACH_CONTAINER_OUTPUT && call != agentpb.Call_LAUNCH_NESTED_CONTAINER_SESSION:
		return &httpd.StatusError{
			Status:  http.StatusNotAcceptable,
			Message: "Streaming response is not supported for " + call.String() + " call",
		}
	}
	return nil
}

// serveSession runs a command in a container for as long as the client is there.
func (s *Server) serveSession(w http.ResponseWriter, call *agentpb.Call_LaunchNestedContainerSession, m httpd.Media) error {
	id := dotted(call.GetContainerId())
	want := wish{command: call.GetCommand(), container: call.GetContainer(), session: true}
	if err := launchable(want); err != nil {
		return err
	}
	fresh, err := s.nest.launch(id, want)
	if err != nil {
		return err
	}
	if !fresh {
		httpd.Empty(w, http.StatusAccepted)
		return nil
	}
	b := s.nest.get(id)
	if b == nil {
		return errors.New("the container is over")
	}
	defer b.end()
	line, err := s.containerizer.Attach(id, posix.Owner)
	if err != nil {
		return err
	}
	return s.passOutput(w, m, line, sessionPatience)
}

func (s *Server) serveAttachOutput(w http.ResponseWriter, call *agentpb.Call_AttachContainerOutput, m httpd.Media) error {
	line, err := s.lineTo(call.GetContainerId(), posix.Output)
	if err != nil {
		return err
	}
	return s.passOutput(w, m, line, attachPatience)
}

// lineTo connects to a container that there is.
func (s *Server) lineTo(container *mesos.ContainerID, wants posix.Wants) (*containerizer.Line, error) {
	id := dotted(container)
	if _, executor := s.containers.Load(id.Root()); !executor && !s.nest.standalone(id) {
		return nil, refusal.NotFoundf("Container %s cannot be found", id)
	}
	line, err := s.containerizer.Attach(id, wants)
	if errors.Is(err, containerizer.ErrCrowded) {
		return nil, refusal.Overloadedf("Too many have attached to container %s", id)
	}
	return line, err
}

// passOutput answers with what a container writes, until it has ended or the client
// has. The container's shim bounds what waits for the client: here is one record
// after the other.
func (s *Server) passOutput(w http.ResponseWriter, m httpd.Media, line *containerizer.Line, patience time.Duration) error {
	defer line.Close()
	stream, err := httpd.OpenStream(w, httpd.StreamOptions{
		ContentType: m.Accept, MessageContentType: m.MessageAccept, Patience: patience, Vanishes: true,
		Closed: func(error) { line.Close() },
	})
	if err != nil {
		return err
	}
	stream.Heartbeat(ioRecord(heartbeatIO(s.cfg.Heartbeat)), s.cfg.Heartbeat, false)
	var copying sync.WaitGroup
	copying.Go(func() { copyOutput(stream, line) })
	err = stream.Run()
	copying.Wait()
	s.log.Debug("stream of a container's output ended", attrErr(err))
	return nil // the answer has begun
}

func copyOutput(stream *httpd.Stream, line *containerizer.Line) {
	for {
		said, data, err := line.Next()
		switch {
		case err != nil:
			stream.Cut()
			return
		case said == posix.Over:
			stream.Close()
			return
		case !stream.SendNext(ioRecord(dataIO(said, bytes.Clone(data)))):
			return
		}
	}
}

func ioRecord(p *agentpb.ProcessIO) *httpd.Record {
	return httpd.NewRecord(func(contentType string) ([]byte, error) { return wire.Encode(contentType, p) })
}

func dataIO(said posix.Said, data []byte) *agentpb.ProcessIO {
	kind := agentpb.ProcessIO_Data_STDOUT
	if said == posix.Stderr {
		kind = agentpb.ProcessIO_Data_STDERR
	}
	return &agentpb.ProcessIO{
		Type: agentpb.ProcessIO_DATA.Enum(), Data: &agentpb.ProcessIO_Data{Type: kind.Enum(), Data: data},
	}
}

func heartbeatIO(every time.Duration) *agentpb.ProcessIO {
	nanoseconds := every.Nanoseconds()
	return &agentpb.ProcessIO{Type: agentpb.ProcessIO_CONTROL.Enum(), Control: &agentpb.ProcessIO_Control{
		Type:      agentpb.ProcessIO_Control_HEARTBEAT.Enum(),
		Heartbeat: &agentpb.ProcessIO_Control_Heartbeat{Interval: &mesos.DurationInfo{Nanoseconds: &nanoseconds}},
	}}
}

// serveAttachInput gives a container what a request goes on with.
func (s *Server) serveAttachInput(w http.ResponseWriter, call *agentpb.Call_AttachContainerInput, rest *httpd.Records) error {
	if call.GetType() != agentpb.Call_AttachContainerInput_CONTAINER_ID {
		return refusal.Invalidf("Expecting 'attach_container_input.type' to be CONTAINER_ID")
	}
	line, err := s.lineTo(call.GetContainerId(), posix.Input)
	if err != nil {
		return err
	}
	defer line.Close()
	id := dotted(call.GetContainerId())
	if !s.inputs.take(id) {
		return refusal.Conflictf("Multiple input connections are not allowed")
	}
	defer s.inputs.leave(id)
	if err := giveInput(line, rest); err != nil {
		return err
	}
	httpd.Empty(w, http.StatusOK)
	return nil
}

// giveInput returns when all was taken, or the container takes no more. One that ends
// once its input was closed has taken all.
func giveInput(line *containerizer.Line, calls *httpd.Records) error {
	answer, through := make(chan error, 1), make(chan struct{})
	go func() {
		answer <- lastWord(line)
		select {
		case <-through:
		default:
			calls.Interrupt()
		}
		line.Close() // ends a write that waits
	}()
	closed, err := copyInput(line, line.Terminal, calls)
	close(through)
	if err == nil {
		err = line.Finish()
	}
	if refusal.ReasonOf(err) != 0 {
		return err // also if that has ended the container
	}
	if err != nil && len(answer) == 0 {
		line.Close() // it is the client that is gone
	}
	said := <-answer
	if closed && errors.Is(said, errDisconnected) {
		return nil
	}
	return said
}

// Errors of ATTACH_CONTAINER_INPUT, in Mesos's words.
var (
	errDisconnected = errors.New("Disconnected")
	errStdin        = errors.New("Failed writing to stdin: Broken pipe") //nolint:staticcheck // Mesos's words
)

// lastWord waits for what the container's board has to say about the input.
func lastWord(line *containerizer.Line) error {
	switch said, _, err := line.Next(); {
	case err != nil:
		return errDisconnected
	case said == posix.Failed:
		return errStdin
	}
	return nil
}

// A taker takes what is given to a container.
type taker interface {
	io.Writer
	Resize(rows, columns uint16) error
	CloseInput() error
}

// copyInput gives a container one record after the other, and says whether its input
// is closed now.
func copyInput(to taker, terminal bool, calls *httpd.Records) (closed bool, err error) {
	for {
		call := new(agentpb.Call)
		err := calls.Next(call)
		if err == io.EOF { //nolint:errorlint // Next returns it bare
			return closed, nil
		}
		if err == nil {
			err = httpd.Validated("agent::Call", validate.AgentCall(call))
		}
		if err == nil {
			err = validate.ProcessInput(call)
		}
		if err == nil {
			p := call.GetAttachContainerInput().GetProcessIo()
			closed = closed || p.GetType() == agentpb.ProcessIO_DATA && len(p.GetData().GetData()) == 0 && !terminal
			err = give(to, terminal, p)
		}
		if err != nil {
			return closed, err
		}
	}
}

func give(to taker, terminal bool, p *agentpb.ProcessIO) error {
	var err error
	data, size := p.GetData().GetData(), p.GetControl().GetTtyInfo().GetWindowSize()
	switch {
	case p.GetType() == agentpb.ProcessIO_DATA && len(data) == 0 && !terminal:
		err = to.CloseInput()
	case p.GetType() == agentpb.ProcessIO_DATA:
		_, err = to.Write(data)
	case size != nil && !terminal:
		err = refusal.Invalidf("Unable to set the window size: Inappropriate ioctl for device")
	case size != nil:
		err = to.Resize(uint16(size.GetRows()), uint16(size.GetColumns()))
	}
	return err
}

// inputs are the containers that somebody gives input to.
type inputs struct {
	mu    sync.Mutex
	taken map[ids.ContainerID]bool
}

// take reports whether nobody else does.
func (i *inputs) take(id ids.ContainerID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.taken[id] {
		return false
	}
	if i.taken == nil {
		i.taken = map[ids.ContainerID]bool{}
	}
	i.taken[id] = true
	return true
}

func (i *inputs) leave(id ids.ContainerID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.taken, id)
}

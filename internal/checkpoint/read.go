package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
)

// reader gathers a state, and decides about what cannot be read.
type reader struct {
	*Store
	strict bool
	state  *meta.State
}

// Read returns what is remembered. What a crash can leave is no error: files
// that were about to be written are missing, logs are cut off, and stay so: the
// rest of the record is deleted. If strict, anything else that cannot be read is
// an error; if not, it is counted in Errors and left out (--no-strict).
func (s *Store) Read(strict bool) (*meta.State, error) {
	r := &reader{Store: s, strict: strict, state: &meta.State{}}
	for _, read := range [...]func() error{r.readBoot, r.readResources, r.readAgent, r.readOld} {
		if err := read(); err != nil {
			return nil, fmt.Errorf("read the checkpoints: %w", err)
		}
	}
	return r.state, nil
}

// fault is called with the error of reading something: it is returned, or
// counted.
func (r *reader) fault(err error) error {
	if err == nil || r.strict {
		return err
	}
	r.state.Errors++
	return nil
}

// file returns the contents of a file; missing says that there is none.
func (r *reader) file(name string) (data []byte, missing bool, err error) {
	f, err := r.fs.OpenFile(name, readOnly, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	data, err = io.ReadAll(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return data, false, err
}

// text returns the contents of a text file; "" if there is none.
func (r *reader) text(name string) (string, error) {
	data, _, err := r.file(name)
	return string(data), r.fault(err)
}

// message reads the one message of a file into m, and reports whether it could.
func (r *reader) message(name string, m proto.Message) (bool, error) {
	data, missing, err := r.file(name)
	if missing {
		return false, nil
	}
	if err == nil {
		err = oneMessage(data, m)
	}
	if err != nil {
		return false, r.fault(fmt.Errorf("%s: %w", name, err))
	}
	return true, nil
}

// folders returns the names of the folders in a folder, in order.
func (r *reader) names(dir string) ([]string, error) {
	entries, err := r.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, r.fault(err)
}

func (r *reader) readBoot() (err error) {
	id, err := r.text(r.meta(bootIDFile))
	r.state.Boot = strings.TrimSpace(id)
	return err
}

// readResources reads what is reserved. A target is what Mesos's agent was
// about to make it.
func (r *reader) readResources() error {
	for _, name := range [...]string{targetFile, stateFile} {
		st := &messages.ResourceState{}
		ok, err := r.message(r.meta(name), st)
		if ok {
			r.state.Resources = st
		}
		if ok || err != nil {
			return err
		}
	}
	data, missing, err := r.file(r.meta(resourcesFile))
	if missing || err != nil {
		return r.fault(err)
	}
	all, _, err := sequence(data, func() *mesos.Resource { return &mesos.Resource{} })
	r.state.Resources = &messages.ResourceState{Resources: all}
	return r.fault(err)
}

// readAgent reads the agent that "latest" points to.
func (r *reader) readAgent() error {
	target, err := r.fs.Readlink(r.latest())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return r.fault(err)
	}
	id := ids.AgentID(filepath.Base(target))
	r.agent(id)
	info := &mesos.AgentInfo{}
	ok, err := r.message(r.agentFile(agentFile), info)
	if !ok || err != nil {
		return err
	}
	r.state.Agent = info
	drain := &mesos.DrainConfig{}
	if ok, err := r.message(r.agentFile(drainFile), drain); err != nil {
		return err
	} else if ok {
		r.state.Drain = drain
	}
	if err := r.readFrameworks(); err != nil {
		return err
	}
	return r.readStrays()
}

// readStrays lists the frameworks that left sandboxes and no records: those that
// did not ask for checkpointing.
func (r *reader) readStrays() error {
	sandboxes := meta.Layout{WorkDir: filepath.Dir(r.layout.WorkDir), Agent: r.layout.Agent}
	names, err := r.names(filepath.Join(sandboxes.AgentDir(), "frameworks"))
	for _, name := range names {
		if id := ids.FrameworkID(name); r.state.Frameworks[id] == nil {
			r.state.Strays = append(r.state.Strays, id)
		}
	}
	return err
}

// readOld lists the agents that this one was before.
func (r *reader) readOld() error {
	seen := map[string]bool{string(r.layout.Agent): true}
	sandboxes := filepath.Join(filepath.Dir(r.layout.WorkDir), "slaves")
	for _, dir := range [...]string{r.meta("slaves"), sandboxes} {
		names, err := r.names(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !seen[name] {
				seen[name] = true
				r.state.Old = append(r.state.Old, ids.AgentID(name))
			}
		}
	}
	return nil
}

func (r *reader) readFrameworks() error {
	names, err := r.names(filepath.Join(r.layout.AgentDir(), "frameworks"))
	r.state.Frameworks = map[ids.FrameworkID]*meta.FrameworkState{}
	for _, name := range names {
		if err == nil {
			err = r.readFramework(ids.FrameworkID(name))
		}
	}
	return err
}

func (r *reader) readFramework(id ids.FrameworkID) error {
	dir := r.layout.FrameworkDir(id)
	info := &mesos.FrameworkInfo{}
	ok, err := r.message(filepath.Join(dir, frameworkFile), info)
	if !ok || err != nil {
		return err
	}
	if info.Id == nil {
		info.Id = &mesos.FrameworkID{Value: (*string)(&id)} // Mesos before 0.23 left it out
	}
	f := &meta.FrameworkState{Info: info, Executors: map[ids.ExecutorID]*meta.ExecutorState{}}
	if f.PID, err = r.text(filepath.Join(dir, driverFile)); err != nil {
		return err
	}
	r.state.Frameworks[id] = f
	names, err := r.names(filepath.Join(dir, "executors"))
	for _, name := range names {
		if err == nil {
			err = r.readExecutor(f, id, ids.ExecutorID(name))
		}
	}
	return err
}

func (r *reader) readExecutor(f *meta.FrameworkState, fid ids.FrameworkID, id ids.ExecutorID) error {
	dir := r.layout.ExecutorDir(fid, id)
	x := &meta.ExecutorState{Info: &mesos.ExecutorInfo{}, Runs: map[ids.ContainerID]*meta.RunState{}}
	ok, err := r.message(filepath.Join(dir, executorFile), x.Info)
	if !ok || err != nil {
		return err
	}
	generated, err := r.text(filepath.Join(dir, generatedFile))
	if err != nil {
		return err
	}
	x.Generated = generated == "1"
	target, err := r.fs.Readlink(filepath.Join(dir, "runs", latestLink))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was about to begin
	}
	if err != nil {
		return r.fault(err)
	}
	x.Latest = ids.ContainerID(filepath.Base(target))
	names, err := r.names(filepath.Join(dir, "runs"))
	for _, name := range names {
		if err == nil {
			err = r.readRun(x, meta.Run{Framework: fid, Executor: id, Container: ids.ContainerID(name)})
		}
	}
	if x.Runs[x.Latest] == nil { // nothing of the run itself was written yet
		x.Runs[x.Latest] = &meta.RunState{Tasks: map[ids.TaskID]*meta.TaskState{}}
	}
	f.Executors[id] = x
	return err
}

func (r *reader) readRun(x *meta.ExecutorState, run meta.Run) error {
	st := &meta.RunState{Tasks: map[ids.TaskID]*meta.TaskState{}}
	x.Runs[run.Container] = st
	pid, err := r.text(r.runFile(run, forkedFile))
	if err == nil && pid != "" {
		st.ForkedPID, err = strconv.Atoi(pid)
		err = r.fault(err)
	}
	if err != nil {
		return err
	}
	driver, err := r.text(r.runFile(run, libprocess))
	if err != nil {
		return err
	}
	st.Driver = ids.UPID(driver)
	st.HTTP = r.exists(r.runFile(run, httpFile))
	st.Ended = r.exists(r.runFile(run, endedFile))
	names, err := r.names(filepath.Join(r.layout.Sandbox(run), "tasks"))
	for _, name := range names {
		if err == nil {
			err = r.readTask(st, run, ids.TaskID(name))
		}
	}
	return err
}

func (r *reader) exists(name string) bool {
	_, missing, err := r.file(name)
	return !missing && err == nil
}

// readTask reads a task and its history, as far as it goes. The history of a
// task that was about to be written itself is that of nothing, and deleted.
func (r *reader) readTask(st *meta.RunState, run meta.Run, id ids.TaskID) error {
	log := filepath.Join(r.taskDir(run, id), updatesFile)
	t := &meta.TaskState{Info: &mesos.Task{}}
	ok, err := r.message(filepath.Join(r.taskDir(run, id), taskFile), t.Info)
	switch {
	case err != nil:
		return err
	case !ok && r.exists(log):
		return r.fault(r.cut(log, 0))
	case !ok:
		return nil
	}
	st.Tasks[id] = t
	if err := r.readOurs(t, r.taskDir(run, id)); err != nil {
		return err
	}
	return r.fault(r.readLog(t, log))
}

// readOurs reads what a task's own record does not say.
func (r *reader) readOurs(t *meta.TaskState, dir string) error {
	group, err := r.text(filepath.Join(dir, groupFile))
	if err != nil {
		return err
	}
	t.Group = ids.TaskID(group)
	check := &mesos.CheckInfo{}
	if ok, err := r.message(filepath.Join(dir, checkFile), check); err != nil {
		return err
	} else if ok {
		t.Check = check
	}
	limit, err := r.text(filepath.Join(dir, limitFile))
	if err == nil && limit != "" {
		var ns int64
		ns, err = strconv.ParseInt(limit, 10, 64)
		t.MaxCompletion, err = time.Duration(ns), r.fault(err)
	}
	return err
}

func (r *reader) readLog(t *meta.TaskState, name string) error {
	data, missing, err := r.file(name)
	if missing || err != nil {
		return err
	}
	records, size, err := sequence(data, func() *messages.StatusUpdateRecord { return &messages.StatusUpdateRecord{} })
	for _, rec := range records {
		t.Apply(rec)
	}
	switch {
	case errors.Is(err, errTorn):
		return r.cut(name, int64(size))
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// cut deletes the end of a log, so that what is added to it can be read.
func (r *reader) cut(name string, size int64) error {
	f, err := r.fs.OpenFile(name, readWrite, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

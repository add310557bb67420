package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/resources"
)

// Permissions, as Mesos gives them.
const (
	secretFile = fs.FileMode(0o600)
	openFile   = fs.FileMode(0o644)
	runFolder  = fs.FileMode(0o750)
	openFolder = fs.FileMode(0o755)
)

// batch is what a Write does to the disk, gathered before it is done: the same
// file is written once, however many records change it.
type batch struct {
	order   []string
	files   map[string]*change
	folders []string // in which names come or go, each once
	known   map[string]bool
}

// change is what becomes of one name.
type change struct {
	data   []byte
	perm   fs.FileMode
	atEnd  bool   // data is added to the file
	link   string // the name becomes a link to this
	remove bool
}

// Write remembers records, in order. When it returns nil they are durable; when
// it fails, any of them may be.
func (s *Store) Write(records []meta.Record) error {
	b := &batch{files: map[string]*change{}, known: map[string]bool{}}
	for _, r := range records {
		if err := s.add(b, r); err != nil {
			return fmt.Errorf("checkpoint %T: %w", r, err)
		}
	}
	if err := s.carryOut(b); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// add gathers what a record changes.
func (s *Store) add(b *batch, r meta.Record) error {
	switch r := r.(type) {
	case meta.Boot:
		b.text(s.meta(bootIDFile), r.ID)
	case meta.Agent:
		s.agent(ids.AgentID(r.Info.GetId().GetValue()))
		b.link(s.latest(), s.layout.AgentDir())
		return b.message(s.agentFile(agentFile), r.Info)
	case meta.Forget:
		b.remove(s.latest())
	case meta.Drain:
		if r.Config == nil {
			b.remove(s.agentFile(drainFile))
			return nil
		}
		return b.message(s.agentFile(drainFile), r.Config)
	case meta.Resources:
		return s.addResources(b, r)
	case meta.Framework:
		dir := s.layout.FrameworkDir(ids.FrameworkID(r.Info.GetId().GetValue()))
		b.text(filepath.Join(dir, driverFile), r.PID)
		return b.message(filepath.Join(dir, frameworkFile), r.Info)
	case meta.Task:
		dir := s.taskDir(r.Run, ids.TaskID(r.Task.GetTaskId().GetValue()))
		if r.MaxCompletion > 0 {
			b.text(filepath.Join(dir, limitFile), strconv.FormatInt(int64(r.MaxCompletion), 10))
		}
		if r.Check != nil {
			if err := b.message(filepath.Join(dir, checkFile), r.Check); err != nil {
				return err
			}
		}
		if r.Group != "" {
			b.text(filepath.Join(dir, groupFile), string(r.Group))
		}
		return b.message(filepath.Join(dir, taskFile), r.Task)
	case meta.Update:
		return b.log(filepath.Join(s.taskDir(r.Run, r.Task), updatesFile), r.Record)
	default:
		return s.addRun(b, r)
	}
	return nil
}

// addRun gathers what a record about a run changes.
func (s *Store) addRun(b *batch, r meta.Record) error {
	switch r := r.(type) {
	case meta.Executor:
		dir := s.layout.ExecutorDir(r.Run.Framework, r.Run.Executor)
		b.text(filepath.Join(dir, generatedFile), strconv.Itoa(map[bool]int{true: 1}[r.Generated]))
		b.link(filepath.Join(dir, "runs", latestLink), s.layout.Sandbox(r.Run))
		return b.message(filepath.Join(dir, executorFile), r.Info)
	case meta.ForkedPID:
		b.text(s.runFile(r.Run, forkedFile), strconv.Itoa(r.PID))
	case meta.Connected:
		if r.Driver == "" {
			b.mark(s.runFile(r.Run, httpFile))
			return nil
		}
		b.text(s.runFile(r.Run, libprocess), string(r.Driver))
	case meta.Ended:
		b.mark(s.runFile(r.Run, endedFile))
	default:
		return errors.New("a record of an unknown kind")
	}
	return nil
}

// addResources writes what is reserved twice, as Mesos does: for agents before
// operations, and for those since.
func (s *Store) addResources(b *batch, r meta.Resources) error {
	var old []byte
	for _, res := range r.State.GetResources() {
		res = proto.CloneOf(res)
		_ = resources.Downgrade(res) // refined reservations have no old form
		var err error
		if old, err = appendMessage(old, res); err != nil {
			return err
		}
	}
	b.put(s.meta(resourcesFile), &change{data: old, perm: secretFile})
	return b.message(s.meta(stateFile), r.State)
}

func (s *Store) meta(name string) string { return filepath.Join(s.layout.WorkDir, name) }

func (s *Store) agentFile(name string) string { return filepath.Join(s.layout.AgentDir(), name) }

func (s *Store) runFile(r meta.Run, name string) string {
	return filepath.Join(s.layout.Sandbox(r), name)
}

func (b *batch) put(name string, c *change) {
	if b.files[name] == nil {
		b.order = append(b.order, name)
	}
	b.files[name] = c
}

func (b *batch) text(name, text string) {
	b.put(name, &change{data: []byte(text), perm: secretFile})
}
func (b *batch) mark(name string)         { b.put(name, &change{perm: openFile}) }
func (b *batch) link(name, target string) { b.put(name, &change{link: target}) }
func (b *batch) remove(name string)       { b.put(name, &change{remove: true}) }

func (b *batch) message(name string, m proto.Message) error {
	data, err := appendMessage(nil, m)
	b.put(name, &change{data: data, perm: secretFile})
	return err
}

// log adds a message to a log.
func (b *batch) log(name string, m proto.Message) (err error) {
	if b.files[name] == nil {
		b.put(name, &change{atEnd: true, perm: openFile})
	}
	c := b.files[name]
	c.data, err = appendMessage(c.data, m)
	return err
}

// carryOut does what was gathered: folders, contents, and, when those are
// durable, names.
func (s *Store) carryOut(b *batch) error {
	var written []string
	for _, name := range b.order {
		if err := s.makeFolder(b, filepath.Dir(name)); err != nil {
			return err
		}
		if c := b.files[name]; !c.remove && c.link == "" {
			at, err := s.write(name, c)
			if errors.Is(err, fs.ErrNotExist) { // the folder was collected meanwhile
				clear(s.folders)
				if err = s.makeFolder(b, filepath.Dir(name)); err == nil {
					at, err = s.write(name, c)
				}
			}
			if err != nil {
				return err
			}
			if len(c.data) > 0 {
				written = append(written, at)
			}
		}
	}
	if err := s.sync(written); err != nil {
		return err
	}
	for _, name := range b.order {
		if err := s.name(name, b.files[name]); err != nil {
			return err
		}
		b.touch(filepath.Dir(name))
	}
	return s.sync(b.folders)
}

// touch remembers that a folder's names are to be made durable.
func (b *batch) touch(dir string) {
	if !b.known[dir] {
		b.known[dir] = true
		b.folders = append(b.folders, dir)
	}
}

// makeFolder makes a folder and those above it.
func (s *Store) makeFolder(b *batch, dir string) error {
	if s.folders[dir] {
		return nil
	}
	perm := openFolder
	if filepath.Base(filepath.Dir(dir)) == "runs" {
		perm = runFolder
	}
	err := s.fs.Mkdir(dir, perm)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeFolder(b, filepath.Dir(dir)); err != nil {
			return err
		}
		err = s.fs.Mkdir(dir, perm)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	b.touch(filepath.Dir(dir)) // also if it exists: it may not be durable yet
	s.remember(dir)
	return nil
}

// maxFolders bounds the folders known to exist; beyond it all are looked at
// again.
const maxFolders = 10_000

func (s *Store) remember(dir string) {
	if len(s.folders) >= maxFolders {
		clear(s.folders)
	}
	s.folders[dir] = true
}

// beside returns the name under which a file is written before it takes the
// place of the old one.
func beside(name string) string {
	dir, base := filepath.Split(name)
	return filepath.Join(dir, "."+base+".tmp")
}

// write writes the contents of a file, and returns where.
func (s *Store) write(name string, c *change) (at string, err error) {
	at, flag := beside(name), writeFresh
	if c.atEnd {
		at, flag = name, writeAtEnd
	}
	f, err := s.fs.OpenFile(at, flag, c.perm)
	if err != nil {
		return "", err
	}
	if len(c.data) > 0 {
		_, err = f.Write(c.data)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return at, err
}

// name gives a file, or a link, its name.
func (s *Store) name(name string, c *change) error {
	switch {
	case c.atEnd:
		return nil
	case c.remove:
		if err := s.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	case c.link != "":
		return s.link(name, c.link)
	}
	return s.fs.Rename(beside(name), name)
}

// link makes a link, or points it elsewhere.
func (s *Store) link(name, target string) error {
	if err := s.fs.Symlink(target, name); !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.fs.Remove(beside(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.fs.Symlink(target, beside(name)); err != nil {
		return err
	}
	return s.fs.Rename(beside(name), name)
}

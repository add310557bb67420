// Package checkpoint keeps an agent's memory on disk, in the files of Apache
// Mesos's agent:
//
//	meta/
//	  boot_id
//	  resources/
//	    resources.info                     reservations and volumes, old form
//	    resources_and_operations.state     the same with pending operations
//	  slaves/
//	    latest -> …/<agent>
//	    <agent>/
//	      slave.info  drain.config
//	      frameworks/<framework>/
//	        framework.info  framework.pid
//	        executors/<executor>/
//	          executor.info  executor_generated_for_command_task
//	          runs/
//	            latest -> …/<container>
//	            <container>/
//	              http.marker  executor.sentinel
//	              pids/  forked.pid  libprocess.pid
//	              tasks/<task>/  task.info  task.updates  task.max_completion_time  task.check  task.group
//
// Messages are preceded by their length, four bytes, the low one first; the rest
// is bare text. task.updates is a log that grows; every other file is replaced
// as a whole: written beside the old one, made durable, renamed. So after a
// crash each file is the old one or the new one, and a log may end in the middle
// of a record, which is cut off when it is read.
//
// A [Store] knows only this layout. What the records mean is internal/meta's
// and the agent's business.
package checkpoint

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
)

// FS is the part of a file system that a store uses. Names are absolute. The
// operating system's is [OS].
type FS interface {
	// OpenFile is [os.OpenFile]. Folders are opened for reading, to be synced.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Mkdir is [os.Mkdir].
	Mkdir(name string, perm fs.FileMode) error
	// Rename is [os.Rename].
	Rename(from, to string) error
	// Symlink is [os.Symlink].
	Symlink(target, link string) error
	// Readlink is [os.Readlink].
	Readlink(link string) (string, error)
	// ReadDir is [os.ReadDir].
	ReadDir(name string) ([]fs.DirEntry, error)
	// Remove is [os.Remove].
	Remove(name string) error
}

// File is an open file or folder.
type File interface {
	io.ReadWriteCloser
	// Sync makes what was written, or the names in a folder, durable.
	Sync() error
	// Truncate is [os.File.Truncate].
	Truncate(size int64) error
}

// syncers is how many files are made durable at a time: file systems make
// several cheaper than one after the other.
const syncers = 16

// Store is the memory of one agent. Its methods must not be called
// concurrently.
type Store struct {
	fs      FS
	layout  meta.Layout     // of the agent that is remembered
	folders map[string]bool // known to exist
	syncers int
}

// Open returns the store of the agent that works in workDir, an absolute path.
// Nothing is read or made yet.
func Open(fsys FS, workDir string) *Store {
	return &Store{
		fs: fsys, layout: meta.Layout{WorkDir: workDir}.Meta(),
		folders: map[string]bool{}, syncers: syncers,
	}
}

// agent makes the store write to another agent's branch.
func (s *Store) agent(id ids.AgentID) {
	s.layout.Agent = id
}

// sync makes the named files or folders durable.
func (s *Store) sync(names []string) error {
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	slots := make(chan struct{}, s.syncers)
	for i, name := range names {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = s.syncOne(name)
			<-slots
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("sync %s: %w", names[i], err)
		}
	}
	return nil
}

func (s *Store) syncOne(name string) error {
	f, err := s.fs.OpenFile(name, readOnly, 0)
	if err != nil {
		return err
	}
	err = f.Sync()
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// Names of files and folders, as Mesos has them.
const (
	bootIDFile    = "boot_id"
	resourcesFile = "resources/resources.info"
	stateFile     = "resources/resources_and_operations.state"
	targetFile    = "resources/resources_and_operations.target"
	agentFile     = "slave.info"
	drainFile     = "drain.config"
	frameworkFile = "framework.info"
	driverFile    = "framework.pid"
	executorFile  = "executor.info"
	generatedFile = "executor_generated_for_command_task"
	forkedFile    = "pids/forked.pid"
	libprocess    = "pids/libprocess.pid"
	httpFile      = "http.marker"
	endedFile     = "executor.sentinel"
	taskFile      = "task.info"
	updatesFile   = "task.updates"
	latestLink    = "latest"
	// limitFile is ours: the task's max_completion_time in nanoseconds, which
	// Mesos's executor has in its memory alone.
	limitFile = "task.max_completion_time"
	// checkFile is ours as well: the task's CheckInfo.
	checkFile = "task.check"
	// groupFile is ours: the first task of the task's group.
	groupFile = "task.group"
)

// taskDir returns the folder of a task's records.
func (s *Store) taskDir(r meta.Run, t ids.TaskID) string {
	return filepath.Join(s.layout.Sandbox(r), "tasks", string(t))
}

// latest returns the link to the agent that this one is.
func (s *Store) latest() string { return filepath.Join(s.layout.WorkDir, "slaves", latestLink) }

package agentd

import (
	"path/filepath"

	"github.com/meseta-project/meseta/internal/meta"
)

// showLog gives clients access to the log.
func (s *Server) showLog() {
	if s.cfg.LogFile != "" {
		s.attach("/slave/log", s.cfg.LogFile)
	}
}

// showSandboxes gives clients access to the sandboxes of an earlier life.
func (s *Server) showSandboxes() {
	for _, row := range newView(s, s.core.Snapshot()).executors {
		s.showSandbox(row.Run, row.Sandbox)
	}
}

// showSandbox gives clients access to the sandbox of a run: under its own path,
// and as the latest of its executor.
func (s *Server) showSandbox(run meta.Run, sandbox string) {
	s.attach(sandbox, sandbox)
	s.attach(filepath.Join(filepath.Dir(sandbox), "latest"), sandbox)
	s.attach(meta.Layout{}.VirtualSandbox(run.Framework, run.Executor), sandbox)
}

func (s *Server) attach(virtual, path string) {
	if err := s.files.Attach(virtual, path, nil); err != nil {
		s.log.Debug("cannot show files", attr("path", path), attrErr(err))
	}
}

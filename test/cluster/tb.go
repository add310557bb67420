package cluster

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// TB is what the helpers need of a test, which *testing.T and *testing.B have
// and programs get from Script.
type TB interface {
	Helper()
	Cleanup(func())
	TempDir() string
	Failed() bool
	Logf(format string, args ...any)
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Script runs f, which may use the helpers outside a test, takes down what it
// started, and returns what went wrong. Errors and logs go to standard error.
func Script(f func(TB)) (err error) {
	s := &script{}
	defer func() {
		switch stop := recover().(type) {
		case nil:
			if s.failed {
				err = errors.New("failed")
			}
		case scriptStop:
			err = stop.err
		default:
			panic(stop)
		}
	}()
	defer s.end()
	f(s)
	return nil
}

// script is a TB whose Fatal unwinds the stack with a scriptStop.
type script struct {
	failed   bool
	cleanups []func()
}

type scriptStop struct{ err error }

func (s *script) Helper()          {}
func (s *script) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }
func (s *script) Failed() bool     { return s.failed }

func (s *script) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (s *script) Error(args ...any) { s.Errorf("%s", fmt.Sprint(args...)) }

func (s *script) Errorf(format string, args ...any) {
	s.failed = true
	s.Logf(format, args...)
}

func (s *script) Fatal(args ...any) { s.Fatalf("%s", fmt.Sprint(args...)) }

func (s *script) Fatalf(format string, args ...any) {
	s.failed = true
	panic(scriptStop{fmt.Errorf(format, args...)})
}

func (s *script) Skipf(format string, args ...any) { s.Fatalf(format, args...) }

func (s *script) TempDir() string {
	dir, err := os.MkdirTemp("", "meseta-script-")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// end runs what is to be run at the end, the latest first.
func (s *script) end() {
	for _, v := range slices.Backward(s.cleanups) {
		v()
	}
}

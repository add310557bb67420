package builtin

import "fmt"

// describe puts a status as of wait(2) in the words of Mesos: "exited with
// status 0", "terminated with signal Killed (core dumped)".
func describe(status int32) string {
	switch signal := status & 0x7f; {
	case signal == 0:
		return fmt.Sprintf("exited with status %d", status>>8&0xff)
	case signal != 0x7f && status&0x80 != 0:
		return fmt.Sprintf("terminated with signal %s (core dumped)", signalName(signal))
	case signal != 0x7f:
		return fmt.Sprintf("terminated with signal %s", signalName(signal))
	case status&0xff == 0x7f:
		return fmt.Sprintf("stopped on signal %s", signalName(status>>8&0xff))
	}
	return fmt.Sprintf("wait status %d", status)
}

// signals are the names that the C library gives to Linux's signals.
var signals = [...]string{
	1: "Hangup", "Interrupt", "Quit", "Illegal instruction", "Trace/breakpoint trap",
	"Aborted", "Bus error", "Floating point exception", "Killed", "User defined signal 1",
	"Segmentation fault", "User defined signal 2", "Broken pipe", "Alarm clock", "Terminated",
	"Stack fault", "Child exited", "Continued", "Stopped (signal)", "Stopped",
	"Stopped (tty input)", "Stopped (tty output)", "Urgent I/O condition", "CPU time limit exceeded", "File size limit exceeded",
	"Virtual timer expired", "Profiling timer expired", "Window changed", "I/O possible", "Power failure",
	"Bad system call",
}

// firstRealtime is SIGRTMIN as programs see it: the C library keeps two.
const firstRealtime = 34

func signalName(n int32) string {
	switch {
	case n > 0 && int(n) < len(signals):
		return signals[n]
	case n >= firstRealtime && n <= 64:
		return fmt.Sprintf("Real-time signal %d", n-firstRealtime)
	}
	return fmt.Sprintf("Unknown signal %d", n)
}

// Package client is the calling side of Mesos's v1 HTTP APIs, as far as
// schedulers, executors and operators do it alike: it posts calls as JSON or
// protocol buffers, reads event streams and watches their heartbeat, finds the
// leading master among several, and turns answers into errors.
package client

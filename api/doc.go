// Package api holds the wire contract: the protocol buffers that Apache Mesos
// speaks, with Mesos's names, numbers and defaults, and the Go code generated
// from them. There is no logic here.
//
//   - mesos/v1 and below: the v1 APIs of schedulers, executors, operators and
//     agents (proto packages mesos.v1, mesos.v1.scheduler, …).
//   - messages: what masters, agents and drivers send each other, and the
//     records of the registry (proto package mesos.internal). Where Mesos
//     uses its v0 types there, ours are the v1 types: the bytes are the same.
//   - messages/v0: the one call whose numbers differ between v0 and v1.
package api

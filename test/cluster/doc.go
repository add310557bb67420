// Package cluster runs real meseta binaries for tests: it builds the binary
// once, starts masters and agents on free loopback ports in directories of
// their own, keeps what each process wrote, and takes every process it started
// down again, the tasks included.
//
// It talks to them as a stranger would, over plain HTTP with hand-written JSON,
// and imports none of the product's packages: what these helpers understand
// cannot drift together with what the servers say.
package cluster

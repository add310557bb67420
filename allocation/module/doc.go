// Package module serves an allocation policy from a process of its own, which a
// master starts:
//
//	func main() { module.Serve(myPolicy{}) }
//
//	meseta master --allocator=module --allocation_module=/usr/lib/my-policy …
//
// The process is started by the master and ends with it. The two speak gRPC
// (api/meseta/allocation/v1) over a socket that nobody else can use, by the
// handshake of hashicorp/go-plugin, so that modules may be written in other
// languages too. What the process writes to standard error is in the master's
// log.
package module

// Package resources is the algebra of what agents have, offers contain and
// tasks use.
//
// # The model
//
// A [Resources] is a sum of entries, such as "4 CPUs, 1 GB of memory reserved
// to the role eng, and the ports 31000 to 32000". Each entry, a [Resource], has
// a value of one of three types:
//
//   - a scalar is an [Amount], in thousandths: cpus, gpus, mem and disk (the
//     latter two in megabytes), and whatever else an operator counts;
//   - [Ranges] are sets of whole numbers: ports;
//   - a set is of names.
//
// Besides its value an entry has a kind: its name and type, the role it is
// allocated to, if any, the stack of its reservations, what disk it is, whether
// it is revocable or shared, and the resource provider it belongs to. Entries
// of the same kind are one entry, with these exceptions:
//
//   - a fixed disk (a mount, a block device, a raw device with an ID, a
//     persistent volume) cannot be cut or joined: it is there or it is not;
//   - a shared volume is an entry with a number of copies: each task that uses
//     it takes one.
//
// So sums, differences and containment are what they are for vectors and sets,
// kind by kind: a.Add(b).Contains(a), and a.Sub(b).Add(b) is a if a contains b.
//
// # Reservations
//
// What is not reserved has the role "*" and may be offered to anyone. A
// reservation keeps a resource for a role and those below it ("eng" also for
// "eng/dev"). Static ones come from an agent's flags, dynamic ones from RESERVE
// operations. A reservation can be refined by one to a role below; the stack
// of [Resource.Reservations] has the outermost first, and [Resource.Role] is
// that of the innermost.
//
// Mesos has two forms for this. In the older one a resource has a role and
// perhaps a reservation, so there can only be one; in the newer one it has a
// list of reservations. [New], [Trusted] and [Upgrade] read both;
// [Resources.Proto] writes the newer, [Resources.PreRefinement] and [Downgrade]
// the older, [Resources.Endpoint] both at once.
//
// # Operations
//
// Operations on an offer turn resources into others of the same quantity:
// unreserved into reserved, disk into a persistent volume, and back.
// [Conversions] says how, [Resources.Apply] does it, or refuses if what would
// be turned is not there.
//
// # Quantities
//
// For fair shares, quotas and minimal offers only names and amounts matter:
// [Quantities] and [Limits] are small sorted vectors of those. They differ in
// what an absent name means: nothing, and no limit.
//
// All of these are immutable values: they can be copied, shared between
// goroutines and kept. Their zero values are empty. Messages are shared with
// them, in both directions, so whoever gives or gets one must clone it before a
// change. Errors are refusals whose text can be shown to the caller.
package resources

package tidy

// layers says which package may import which. "a < b" means that b may import
// a, and all that a may; "a, b < c, d" means it of each pair; a chain
// "a < b < c" is as good as its pairs. A name in capitals stands for a group,
// NONE for nothing. A package that has no name here fails the test: to add
// one, put it in the line of its siblings, and in the group below them if
// others are to use it. The order is bottom-up: values, cores, edges,
// adapters, shells.
const layers = `
	# The wire contract: generated code, no logic.
	NONE < api, api/mesos/v1;
	api/mesos/v1
		< api/mesos/v1/agent, api/mesos/v1/allocator, api/mesos/v1/executor,
		  api/mesos/v1/quota, api/mesos/v1/resource_provider, api/mesos/v1/scheduler,
		  api/messages/resourceprovider;
	api/mesos/v1/allocator < api/mesos/v1/maintenance;
	api/mesos/v1/scheduler < api/messages/v0;
	api/mesos/v1/maintenance, api/mesos/v1/quota, api/mesos/v1/scheduler < api/mesos/v1/master;
	api/mesos/v1/maintenance, api/mesos/v1/quota, api/messages/resourceprovider < api/messages;
	api, api/mesos/v1/agent, api/mesos/v1/executor, api/mesos/v1/master, api/mesos/v1/resource_provider,
		api/messages, api/messages/v0
		< API;

	# Layer 0, values.
	NONE < internal/cow, internal/invariant, internal/refusal, internal/version;
	internal/refusal < internal/ids, internal/role;
	API, internal/ids, internal/invariant, internal/role < resources;
	api/mesos/v1 < internal/secret;
	internal/cow, internal/secret, resources < internal/validate;
	internal/validate, internal/version < VALUES;

	# Layer 1, cores: deterministic state machines around the values.
	VALUES < internal/probe, internal/registry, internal/sorter, internal/status;
	internal/probe < internal/builtin;
	internal/builtin < internal/command, internal/pod;
	# How allocation modules see the allocator: plain data, public.
	NONE < allocation, api/meseta/allocation/v1;
	allocation, internal/sorter < internal/allocator;
	internal/allocator, internal/registry < internal/master;
	VALUES < internal/meta;
	internal/meta, internal/status < internal/agent;
	internal/agent, internal/command, internal/master, internal/pod < CORES;

	# Layer 2, edges that shells share.
	NONE < recordio, internal/flags, internal/mailbox;
	VALUES, recordio < internal/wire;
	internal/wire < internal/authn, internal/authz, internal/libprocess;
	internal/authn, internal/authz, internal/libprocess, internal/mailbox < internal/httpd;
	internal/flags, internal/httpd < EDGES;

	# Public packages: of internal/ they see leaf helpers only.
	internal/wire < internal/client < scheduler, operator;
	internal/client, internal/flags < executor;
	allocation, api/meseta/allocation/v1 < allocation/module;
	allocation < allocation/allocationtest;
	scheduler, executor, operator, recordio, resources, allocation, allocation/module, allocation/allocationtest < PUBLIC;
	PUBLIC < frameworks/batch, frameworks/service, frameworks/demo, examples/firstcome;

	# Layer 3, adapters: one technology each. They import neither each other nor
	# a core, but for the values that they store and the parts that the
	# containerizer is put together from.
	api/mesos/v1 < internal/launcher < internal/launcher/posix < internal/launcher/oci < internal/launcher/lxc;
	internal/launcher/posix < internal/launcher/launchertest;
	EDGES
		< internal/elect/standalone, internal/elect/zookeeper, internal/elect/etcd, internal/etcdserver,
		  internal/cni, internal/csi, internal/fetcher,
		  internal/health, internal/image, internal/launcher/posix;
	internal/client < internal/elect/standalone;
	internal/launcher, EDGES < internal/docker;
	EDGES < internal/docker/volume < internal/containerizer;
	resources < internal/xfs < internal/agentd;
	internal/meta, EDGES < internal/checkpoint;
	allocation/module, allocation/allocationtest, EDGES < internal/module;
	internal/registry, EDGES < internal/store/memory, internal/store/bolt, internal/store/journal;
	internal/store/journal < internal/store/zookeeper, internal/store/etcd;
	internal/cni, internal/docker, internal/fetcher, internal/launcher/lxc, internal/image < internal/containerizer;
	internal/elect/standalone, internal/elect/zookeeper, internal/elect/etcd, internal/etcdserver,
		internal/store/memory, internal/store/bolt, internal/store/zookeeper, internal/store/etcd,
		internal/checkpoint, internal/cni, internal/csi, internal/docker, internal/docker/volume, internal/health, internal/containerizer, internal/module
		< ADAPTERS;

	# Layer 4, shells. The master's and the agent's do not know each other.
	internal/master, EDGES < internal/masterd;
	internal/agent, internal/command, internal/pod, internal/checkpoint, internal/containerizer, internal/health, EDGES
		< internal/agentd;
	internal/registry < internal/masterd/storetest;
	internal/wire < internal/masterd/electtest;
	test/cluster < internal/etcdserver/etcdtest, internal/docker/dockertest;
	EDGES < internal/webui;
	# How others find the leader, which is made of adapters.
	internal/elect/standalone, internal/elect/zookeeper, internal/elect/etcd < leader;
	leader, ADAPTERS, PUBLIC, internal/agentd, internal/masterd, internal/webui < internal/cli < cmd/meseta;

	# Test worlds. Only tests and the simulator see these.
	NONE < internal/fakenet, internal/crashfs, internal/skip, internal/tidy;
	internal/skip < internal/golden, internal/launcher/launchertest, internal/docker/dockertest;
	CORES, EDGES, internal/crashfs, internal/fakenet < internal/sim;
	# Tests of whole binaries share no code with them, or both would agree on
	# the same mistake.
	CORES < test/bench;
	NONE < test/cluster < test/chaos, test/e2e, test/compat, test/kernel, test/scale;
	NONE < test/bench/direct;
	PUBLIC, test/cluster < test/bench/firstlight;
	internal/agent, internal/elect/standalone, test/cluster < test/bench/failover;
`

// impure are the imports that no value and no core may have: they are
// reproducible from their inputs, do not block and start nothing.
var impure = []string{
	"context", "log", "math/rand", "net", "net/http", "os", "os/exec", "sync", "sync/atomic", "syscall",
}

// pure is the group of what is told everything: impure is out of its reach.
const pure = "CORES"

// public are the packages that others build on, and leaves what these may see
// of internal/: helpers that import little and keep no state.
var (
	public = []string{"allocation", "allocation/module", "executor", "operator", "recordio", "resources", "scheduler"}
	leaves = []string{"internal/client", "internal/flags", "internal/ids", "internal/invariant", "internal/refusal", "internal/role", "internal/wire"}
)

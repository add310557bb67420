package validate_test

import (
	"iter"
	"slices"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

const (
	allocation  = `,"allocation_info":{"role":"eng"}`
	byOps       = `,"reservations":[{"type":"DYNAMIC","role":"eng","principal":"ops"}]`
	persistence = `,"disk":{"persistence":{"id":"v","principal":"ops"},"volume":{"container_path":"d","mode":"RW"}}`
)

func cpu(more string) string {
	return `{"name":"cpus","type":"SCALAR","scalar":{"value":1}` + more + `}`
}

func diskOf(more string) string {
	return `{"name":"disk","type":"SCALAR","scalar":{"value":64}` + more + `}`
}

// withOps and withoutCapabilities are the agents of some operations.
func withVolume() *validate.Agent {
	a := agent()
	a.Checkpointed = resources.MustParse("[" + diskOf(byOps+persistence) + "]")
	return a
}

func withoutCapabilities() *validate.Agent {
	a := withVolume()
	a.Capabilities = validate.Capabilities{}
	return a
}

func inUse() *validate.Agent {
	a := withVolume()
	a.Used = func() iter.Seq[resources.Resources] {
		return slices.Values([]resources.Resources{{}, a.Checkpointed.AllocatedTo("eng")})
	}()
	return a
}

func TestOperation(t *testing.T) {
	fw := validate.Requester{Principal: "ops", Framework: framework()}
	operator := validate.Requester{Principal: "ops"}
	nobody := validate.Requester{}
	sharer := validate.Requester{Framework: framework()}
	sharer.Framework.SharedResources = true

	reserve := func(r string) string { return `{"type":"RESERVE","reserve":{"resources":[` + r + `]}}` }
	rereserve := func(source, target string) string {
		return `{"type":"RESERVE","reserve":{"source":[` + source + `],"resources":[` + target + `]}}`
	}
	unreserve := func(r string) string { return `{"type":"UNRESERVE","unreserve":{"resources":[` + r + `]}}` }
	create := func(r string) string { return `{"type":"CREATE","create":{"volumes":[` + r + `]}}` }
	destroy := func(r string) string { return `{"type":"DESTROY","destroy":{"volumes":[` + r + `]}}` }
	grow := func(volume, addition string) string {
		return `{"type":"GROW_VOLUME","grow_volume":{"volume":` + volume + `,"addition":` + addition + `}}`
	}
	shrink := func(volume, subtract string) string {
		return `{"type":"SHRINK_VOLUME","shrink_volume":{"volume":` + volume + `,"subtract":{"value":` + subtract + `}}}`
	}
	static := `,"reservations":[{"type":"STATIC","role":"eng"}]`
	refined := `,"reservations":[{"type":"STATIC","role":"eng"},{"type":"DYNAMIC","role":"eng/a","principal":"ops"}]`
	opsRole := `,"reservations":[{"type":"DYNAMIC","role":"ops","principal":"ops"}]`
	noPrincipal := `,"reservations":[{"type":"DYNAMIC","role":"eng"}]`
	shared := byOps + persistence + `,"shared":{}`
	provided := `,"provider_id":{"value":"p"}`
	volume := diskOf(byOps + persistence)
	other := strings.Replace(persistence, `"v"`, `"w"`, 1)

	for _, test := range []struct {
		name, op string
		by       validate.Requester
		agent    *validate.Agent
		want     string
	}{
		{"unknown", `{}`, fw, agent(), "Unknown offer operation"},

		{"reserve", reserve(cpu(byOps + allocation)), fw, agent(), ""},
		{"reserve for an operator", reserve(cpu(byOps)), operator, agent(), ""},
		{"reserve for nobody", reserve(cpu(byOps)), nobody, agent(), ""},
		{
			"reserve nothing", reserve(""), fw, agent(),
			"Invalid resources: There are none",
		},
		{
			"reserve the malformed", reserve(`{"name":"","type":"SET"}`), fw, agent(),
			"Invalid resources: Invalid resources: Resource ':{}' is invalid: Empty resource name",
		},
		{
			"reserve of several providers", reserve(cpu(byOps+provided) + "," + cpu(byOps)), operator, agent(),
			"Invalid resources: Some resources have a resource provider and some do not",
		},
		{
			"reserve of two providers", reserve(cpu(byOps+provided) + "," + cpu(byOps+`,"provider_id":{"value":"q"}`)),
			operator, agent(), "Invalid resources: The resources have multiple resource providers: p, q",
		},
		{
			"reserve the unreserved", reserve(cpu(allocation)), fw, agent(),
			"Resource cpus(allocated: eng):1 is not dynamically reserved",
		},
		{
			"reserve below on an old agent", reserve(cpu(refined)), operator, withoutCapabilities(),
			"Resource cpus(reservations: [(STATIC,eng),(DYNAMIC,eng/a,ops)]):1 with reservation for hierarchical role" +
				" 'eng/a' cannot be reserved on an agent without HIERARCHICAL_ROLE capability",
		},
		{
			"reserve without principal", reserve(cpu(noPrincipal)), operator, agent(),
			"A reserve operation was attempted by principal 'ops', but there is a reserved resource in the request" +
				" with no principal set",
		},
		{
			"reserve for another", reserve(cpu(strings.Replace(byOps, "ops", "eve", 1))), operator, agent(),
			"A reserve operation was attempted by authenticated principal 'ops', which does not match a reserved" +
				" resource in the request with principal 'eve'",
		},
		{
			"reserve the unallocated", reserve(cpu(byOps)), fw, agent(),
			"A reserve operation was attempted on unallocated resource cpus(reservations: [(DYNAMIC,eng,ops)]):1," +
				" but frameworks can only perform reservations on allocated resources",
		},
		{
			"reserve in another role", reserve(cpu(opsRole + allocation)), fw, agent(),
			"A reserve operation was attempted for a resource with role 'ops', but the resource was allocated to" +
				" role 'eng'",
		},
		{
			"reserve in an alien role", reserve(cpu(opsRole + `,"allocation_info":{"role":"ops"}`)), fw, agent(),
			"A reserve operation was attempted for a resource allocated to role 'ops', but the framework only has" +
				" roles '{ eng }'",
		},
		{
			"reserve the allocated", reserve(cpu(byOps + allocation)), operator, agent(),
			"A reserve operation was attempted with an allocated resource, but the operator API only allows" +
				" reservations to be made to unallocated resources",
		},
		{
			"reserve anew", `{"type":"RESERVE","reserve":{"source":[` + cpu(byOps) + `],"resources":[` + cpu(opsRole) + `]}}`,
			operator, agent(), "",
		},
		{
			"reserve more than there was",
			`{"type":"RESERVE","reserve":{"source":[` + cpu(byOps) + `],"resources":[` + diskOf(opsRole) + `]}}`,
			operator, agent(), "Source and target resources should refer to identical resource quantities:" +
				" cpus:1 vs. disk:64",
		},
		{
			"reserve what is mixed",
			`{"type":"RESERVE","reserve":{"source":[` + cpu(byOps) + "," + cpu("") + `],"resources":[` + cpu(opsRole) + `]}}`,
			operator, agent(), "Invalid source: Mixed reservations are not supported: " +
				"cpus:1; cpus(reservations: [(DYNAMIC,eng,ops)]):1",
		},

		{
			"reserve anew what the agent reserves", rereserve(cpu(static), cpu(opsRole)),
			operator, agent(), "Static reservations cannot be changed, only the agent's --resources:" +
				" cpus(reservations: [(STATIC,eng)]):1 vs. cpus(reservations: [(DYNAMIC,ops,ops)]):1",
		},
		{
			"reserve as the agent would", rereserve(cpu(""), cpu(refined)),
			operator, agent(), "Static reservations cannot be changed, only the agent's --resources:" +
				" cpus:1 vs. cpus(reservations: [(STATIC,eng),(DYNAMIC,eng/a,ops)]):1",
		},
		{
			"refine what the agent reserves", rereserve(cpu(static), cpu(refined)),
			operator, agent(), "",
		},
		{
			"reserve a volume anew", rereserve(volume, diskOf(opsRole+persistence)), operator, withVolume(),
			"A persistent volume disk(reservations: [(DYNAMIC,ops,ops)])[v:d]:64 cannot be reserved for another role: what is" +
				" in it would be lost. Please destroy the persistent volume first then reserve the resource",
		},

		{"unreserve", unreserve(cpu(byOps)), fw, agent(), ""},
		{"unreserve the unreserved", unreserve(cpu("")), fw, agent(), "Resource cpus:1 is not dynamically reserved"},
		{
			"unreserve a volume", unreserve(volume), fw, agent(),
			"A dynamically reserved persistent volume disk(reservations: [(DYNAMIC,eng,ops)])[v:d]:64 cannot be" +
				" unreserved directly. Please destroy the persistent volume first then unreserve the resource",
		},

		{"create", create(diskOf(byOps + persistence + allocation)), fw, agent(), ""},
		{
			"create again", create(diskOf(byOps + persistence + allocation)), fw, withVolume(),
			"Persistence ID 'v' is not unique",
		},
		{
			"create no volume", create(cpu("")), fw, agent(),
			"Not a persistent volume: Resource cpus:1 does not have DiskInfo",
		},
		{
			"create without persistence", create(diskOf(byOps + `,"disk":{"source":{"type":"PATH"}}`)), fw, agent(),
			"Not a persistent volume: 'persistence' is not set in DiskInfo",
		},
		{
			"create read-only", create(diskOf(byOps + strings.Replace(persistence, "RW", "RO", 1))), fw, agent(),
			"Not a persistent volume: Read-only persistent volume not supported",
		},
		{
			"create shared", create(diskOf(shared + allocation)), fw, agent(),
			"Create volume operation for 'disk(allocated: eng)(reservations: [(DYNAMIC,eng,ops)])[v:d]<SHARED>:64' has" +
				" been attempted by framework 'F' with no SHARED_RESOURCES capability",
		},
		{"create shared by a sharer", create(diskOf(shared + allocation)), sharer, agent(), ""},
		{
			"create unallocated", create(volume), fw, agent(),
			"Invalid volume resources: The resources are not allocated to a role",
		},
		{
			"create on an old agent", create(diskOf(refined + other)), operator, withoutCapabilities(),
			"Volume disk(reservations: [(STATIC,eng),(DYNAMIC,eng/a,ops)])[w:d]:64 with reservation for hierarchical" +
				" role 'eng/a' cannot be created on an agent without HIERARCHICAL_ROLE capability",
		},
		{
			"create without principal", create(diskOf(byOps + strings.Replace(persistence, `,"principal":"ops"`, "", 1))),
			operator, agent(), "Create volume operation attempted by principal 'ops', but there is a volume in the" +
				" operation with no principal set in 'disk.persistence'",
		},
		{
			"create for another", create(diskOf(byOps + strings.Replace(persistence, "ops", "eve", 1))), operator, agent(),
			"Create volume operation attempted by authenticated principal 'ops', which does not match a volume in the" +
				" operation with principal 'eve' set in 'disk.persistence'",
		},

		{"destroy", destroy(diskOf(byOps + persistence + allocation)), fw, withVolume(), ""},
		{"destroy another", destroy(diskOf(byOps + other)), fw, withVolume(), "Persistent volumes not found"},
		{"destroy what is in use", destroy(volume), fw, inUse(), "Persistent volumes in use"},

		{"grow", grow(volume, diskOf(byOps)), fw, agent(), ""},
		{
			"grow the malformed", grow(cpu(`,"name":""`), cpu("")), fw, agent(),
			"Invalid resource in the 'GrowVolume.volume' field: Empty resource name",
		},
		{
			"grow by the malformed", grow(volume, `{"name":"x","type":"SET"}`), fw, agent(),
			"Invalid resource in the 'GrowVolume.addition' field: Invalid set resource",
		},
		{
			"grow by nothing", grow(volume, strings.Replace(diskOf(byOps), "64", "0", 1)), fw, agent(),
			"The size of 'GrowVolume.addition' field must be greater than zero",
		},
		{
			"grow a provider's", grow(diskOf(byOps+persistence+provided), diskOf(byOps)), fw, agent(),
			"Growing a volume from a resource provider is not supported",
		},
		{
			"grow no volume", grow(diskOf(byOps), diskOf(byOps)), fw, agent(),
			"Invalid persistent volume in the 'GrowVolume.volume' field: Resource" +
				" disk(reservations: [(DYNAMIC,eng,ops)]):64 does not have DiskInfo",
		},
		{
			"grow shared", grow(diskOf(shared), diskOf(byOps)), fw, agent(),
			"Growing a shared persistent volume is not supported",
		},
		{
			"grow by others'", grow(volume, diskOf(opsRole)), fw, agent(),
			"Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields",
		},
		{
			"grow on an old agent", grow(volume, diskOf(byOps)), fw, withoutCapabilities(),
			"Volume disk(reservations: [(DYNAMIC,eng,ops)])[v:d]:64 cannot be grown on an agent without RESIZE_VOLUME" +
				" capability",
		},

		{"shrink", shrink(volume, "10"), fw, agent(), ""},
		{
			"shrink by nothing", shrink(volume, "0"), fw, agent(),
			"Value of 'ShrinkVolume.subtract' must be greater than zero",
		},
		{
			"shrink to nothing", shrink(volume, "64"), fw, agent(),
			"Value of 'ShrinkVolume.subtract' must be smaller than the size of 'ShrinkVolume.volume'",
		},
		{
			"shrink a provider's", shrink(diskOf(byOps+persistence+provided), "1"), fw, agent(),
			"Shrinking a volume from a resource provider is not supported",
		},
		{
			"shrink a mount", shrink(diskOf(byOps+`,"disk":{"source":{"type":"MOUNT"}}`), "1"), fw, agent(),
			"Shrinking a volume on a MOUNT disk is not supported",
		},
		{
			"shrink no volume", shrink(diskOf(byOps), "1"), fw, agent(),
			"Invalid persistent volume in the 'ShrinkVolume.volume' field: Resource" +
				" disk(reservations: [(DYNAMIC,eng,ops)]):64 does not have DiskInfo",
		},
		{
			"shrink shared", shrink(diskOf(shared), "1"), fw, agent(),
			"Shrinking a shared persistent volume is not supported",
		},
		{
			"shrink on an old agent", shrink(volume, "1"), fw, withoutCapabilities(),
			"Volume disk(reservations: [(DYNAMIC,eng,ops)])[v:d]:64 cannot be shrunk on an agent without RESIZE_VOLUME" +
				" capability",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			op := read(t, lastMembers(test.op), &mesos.Offer_Operation{})
			refused(t, validate.Operation(op, test.by, test.agent), test.want)
		})
	}
}

// lastMembers lets a test override a member of cpu.
func lastMembers(text string) string {
	return strings.Replace(text, `{"name":"cpus","type":"SCALAR","scalar":{"value":1},"name":""`,
		`{"type":"SCALAR","scalar":{"value":1},"name":""`, 1)
}

func TestDiskOperations(t *testing.T) {
	source := func(fields string) string {
		return diskOf(`,"provider_id":{"value":"p"},"disk":{"source":{` + fields + `}}`)
	}
	create := func(source, more string) string {
		return `{"type":"CREATE_DISK","create_disk":{"source":` + source + more + `}}`
	}
	destroy := func(source string) string { return `{"type":"DESTROY_DISK","destroy_disk":{"source":` + source + `}}` }
	for _, test := range []struct{ op, want string }{
		{create(source(`"type":"RAW","profile":"fast"`), `,"target_type":"MOUNT"`), ""},
		{create(source(`"type":"RAW"`), `,"target_type":"BLOCK","target_profile":"fast"`), ""},
		{create(diskOf(`,"disk":{}`), ""), "Invalid resource: Invalid DiskInfo: DiskInfo is set but empty"},
		{create(diskOf(""), ""), "'source' is not managed by a resource provider"},
		{create(source(`"type":"PATH"`), ""), "'source' is not a RAW disk resource"},
		{create(source(`"type":"RAW"`), `,"target_type":"PATH"`), "'target_type' is neither MOUNT or BLOCK"},
		{
			create(source(`"type":"RAW"`), `,"target_type":"MOUNT"`),
			"'target_profile' must be set when 'source' has no profile",
		},
		{
			create(source(`"type":"RAW","profile":"fast"`), `,"target_type":"MOUNT","target_profile":"fast"`),
			"'target_profile' must not be set when 'source' has a profile",
		},
		{destroy(source(`"type":"BLOCK","id":"b"`)), ""},
		{destroy(diskOf("")), "'source' is not managed by a resource provider"},
		{destroy(source(`"type":"PATH"`)), "'source' is neither a MOUNT, BLOCK or RAW disk resource"},
		{destroy(source(`"type":"MOUNT"`)), "'source' is not backed by a CSI volume"},
		{
			destroy(diskOf(byOps + `,"provider_id":{"value":"p"},"disk":{"source":{"type":"MOUNT","id":"m"},
			"persistence":{"id":"v"},"volume":{"container_path":"d","mode":"RW"}}`)),
			"A disk resource containing a persistent volume disk(reservations: [(DYNAMIC,eng,ops)])[MOUNT(,m,),v:d]:64" +
				" cannot be destroyed directly. Please destroy the persistent volume first then destroy the disk resource",
		},
	} {
		op := read(t, test.op, &mesos.Offer_Operation{})
		refused(t, validate.Operation(op, validate.Requester{}, agent()), test.want)
	}
}

func TestOperationForm(t *testing.T) {
	bad := `{"name":"x","type":"SET"}`
	named := "Resource 'x:{}' is invalid: Invalid set resource"
	task := `{"name":"n","task_id":{"value":"t"},"agent_id":{"value":"a"},`
	for _, test := range []struct{ op, want string }{
		{`{}`, "Unknown offer operation"},
		{`{"type":"LAUNCH"}`, "A LAUNCH offer operation must have the Offer.Operation.launch field set."},
		{
			`{"type":"LAUNCH_GROUP"}`,
			"A LAUNCH_GROUP offer operation must have the Offer.Operation.launch_group field set.",
		},
		{`{"type":"RESERVE"}`, "A RESERVE offer operation must have the Offer.Operation.reserve field set."},
		{`{"type":"UNRESERVE"}`, "An UNRESERVE offer operation must have the Offer.Operation.unreserve field set."},
		{`{"type":"CREATE"}`, "A CREATE offer operation must have the Offer.Operation.create field set."},
		{`{"type":"DESTROY"}`, "A DESTROY offer operation must have the Offer.Operation.destroy field set."},
		{`{"type":"GROW_VOLUME"}`, "A GROW_VOLUME operation must have the Offer.Operation.grow_volume field set"},
		{
			`{"type":"SHRINK_VOLUME"}`,
			"A SHRINK_VOLUME offer operation must have the Offer.Operation.shrink_volume field set",
		},
		{`{"type":"CREATE_DISK"}`, "A CREATE_DISK offer operation must have the Offer.Operation.create_disk field set."},
		{
			`{"type":"DESTROY_DISK"}`,
			"A DESTROY_DISK offer operation must have the Offer.Operation.destroy_disk field set.",
		},
		{`{"type":"LAUNCH","launch":{}}`, ""},
		{`{"type":"LAUNCH","launch":{"task_infos":[` + task + `"resources":[` + bad + `]}]}}`, named},
		{`{"type":"LAUNCH","launch":{"task_infos":[` + task + `"executor":{"resources":[` + bad + `]}}]}}`, named},
		{`{"type":"LAUNCH_GROUP","launch_group":{"executor":{"resources":[` + bad + `]}}}`, named},
		{`{"type":"LAUNCH_GROUP","launch_group":{"task_group":{"tasks":[` + task + `"resources":[` + bad + `]}]}}}`, named},
		{`{"type":"RESERVE","reserve":{"resources":[` + bad + `]}}`, named},
		{
			`{"type":"RESERVE","reserve":{"source":[` + bad + `]}}`,
			"Reservation updates are not yet implemented for the scheduler API.",
		},
		{`{"type":"UNRESERVE","unreserve":{"resources":[` + bad + `]}}`, named},
		{`{"type":"CREATE","create":{"volumes":[` + bad + `]}}`, named},
		{`{"type":"DESTROY","destroy":{"volumes":[` + bad + `]}}`, named},
		{`{"type":"GROW_VOLUME","grow_volume":{"volume":` + bad + `}}`, "Invalid set resource"},
		{
			`{"type":"GROW_VOLUME","grow_volume":{"volume":` + diskOf("") + `,"addition":` + bad + `}}`,
			"Invalid set resource",
		},
		{`{"type":"SHRINK_VOLUME","shrink_volume":{"volume":` + bad + `}}`, "Invalid set resource"},
		{`{"type":"CREATE_DISK","create_disk":{"source":` + bad + `}}`, "Invalid set resource"},
		{`{"type":"DESTROY_DISK","destroy_disk":{"source":` + bad + `}}`, "Invalid set resource"},
	} {
		op := read(t, test.op, &mesos.Offer_Operation{})
		err := validate.OperationForm(op)
		for _, task := range append(op.GetLaunch().GetTaskInfos(), op.GetLaunchGroup().GetTaskGroup().GetTasks()...) {
			if err == nil {
				err = validate.TaskForm(task)
			}
		}
		refused(t, err, test.want)
	}
}

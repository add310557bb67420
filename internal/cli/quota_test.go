package cli

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/resources"
)

// testQuota is a quota of amounts such as "cpus:4;mem:1024".
func testQuota(t *testing.T, name, guarantees, limits string) *quotapb.QuotaConfig {
	t.Helper()
	g, err := resources.ParseQuantities(guarantees)
	if err != nil {
		t.Fatal(err)
	}
	l, err := resources.ParseLimits(limits)
	if err != nil {
		t.Fatal(err)
	}
	return &quotapb.QuotaConfig{Role: &name, Guarantees: g.Proto(), Limits: l.Proto()}
}

// testResource is an amount that is allocated to one role and reserved to another,
// or to none.
func testResource(name string, amount float64, allocated, reserved string) *mesos.Resource {
	r := &mesos.Resource{Name: &name, Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: &amount}}
	if allocated != "" {
		r.AllocationInfo = &mesos.Resource_AllocationInfo{Role: &allocated}
	}
	if reserved != "" {
		r.Reservations = []*mesos.Resource_ReservationInfo{{Type: mesos.Resource_ReservationInfo_STATIC.Enum(), Role: &reserved}}
	}
	return r
}

// testBooks are of two agents with 8 CPUs and 8192 MB together: 2 CPUs are
// reserved to ops, which uses one of them; web and a role below it use 3, and are
// offered another; batch uses one beside one that can be revoked.
func testBooks() books {
	revocable := testResource("cpus", 1, "batch", "")
	revocable.Revocable = &mesos.Resource_RevocableInfo{}
	return booksOf([]*masterpb.Response_GetAgents_Agent{{
		TotalResources: []*mesos.Resource{
			testResource("cpus", 2, "", ""), testResource("cpus", 2, "", "ops/db"), testResource("mem", 4096, "", ""),
		},
		AllocatedResources: []*mesos.Resource{testResource("cpus", 1, "ops/db", "ops/db"), testResource("cpus", 1, "web", "")},
		OfferedResources:   []*mesos.Resource{testResource("cpus", 1, "web", "")},
	}, {
		TotalResources: []*mesos.Resource{testResource("cpus", 4, "", ""), testResource("mem", 4096, "", ""), func() *mesos.Resource {
			r := testResource("cpus", 9, "", "")
			r.Revocable = &mesos.Resource_RevocableInfo{}
			return r
		}()},
		AllocatedResources: []*mesos.Resource{
			testResource("cpus", 2, "web/shop", ""), testResource("mem", 512, "web/shop", ""), testResource("cpus", 1, "batch", ""), revocable,
		},
	}})
}

func TestQuotaTable(t *testing.T) {
	quotas := []*quotapb.QuotaConfig{
		testQuota(t, "web", "cpus:4;mem:512", "cpus:8"), testQuota(t, "ops", "cpus:1", "cpus:1.5"), testQuota(t, "idle", "", "cpus:0"),
	}
	var b bytes.Buffer
	showQuotas(&b, quotas, testBooks(), false)
	want := "ROLE  RESOURCE  CONSUMED  OFFERED  GUARANTEE  LIMIT  STANDING\n" +
		"idle  cpus      0         0        -          0      at its limit\n" +
		"ops   cpus      2         0        1          1.5    0.5 above its limit\n" +
		"web   cpus      3         1        4          8      1 below its guarantee\n" +
		"web   mem       512       0        512        -      at its guarantee\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
	b.Reset()
	showQuotas(&b, quotas[:2], testBooks(), true)
	want = "ROLE   RESOURCE  CONSUMED  OFFERED  GUARANTEE  LIMIT  STANDING\n" +
		"batch  cpus      1         0        -          -      -\n" +
		"ops    cpus      2         0        1          1.5    0.5 above its limit\n" +
		"web    cpus      3         1        4          8      1 below its guarantee\n" +
		"web    mem       512       0        512        -      at its guarantee\n"
	if b.String() != want {
		t.Errorf("of all roles, got\n%s\nwant\n%s", &b, want)
	}
}

// TestQuotaTrial tries quotas in the cluster of testBooks, where there are two.
func TestQuotaTrial(t *testing.T) {
	quotas := []*quotapb.QuotaConfig{testQuota(t, "web", "cpus:2", ""), testQuota(t, "batch", "cpus:2", "")}
	for _, test := range []struct {
		name            string
		next            *quotapb.QuotaConfig
		unlisted, force bool
		refused         string // a part of why
		words           []string
	}{
		{name: "kept back", next: testQuota(t, "new", "mem:1024", ""), words: []string{
			"guaranteed cpus:4; mem:1024, of cpus:8; mem:8192", "mem:1024 is kept back from other roles until new has", "For others cpus:1 is kept back",
		}},
		{name: "satisfied", next: testQuota(t, "web", "cpus:4;mem:512", "cpus:4"), words: []string{"web has its guarantee"}},
		{name: "in place of the present one", next: testQuota(t, "web", "cpus:6", ""), words: []string{
			"guaranteed cpus:8, of", "cpus:2 is kept back from", "cpus:2 of what is to be kept back is not free",
		}},
		{name: "overcommit", next: testQuota(t, "web", "cpus:6.001", ""), refused: "total quota guarantees 'cpus:8.001' exceed cluster capacity 'cpus:8; mem:8192'"},
		{name: "forced", next: testQuota(t, "web", "cpus:7", ""), force: true, words: []string{"not without --force: Invalid QuotaConfig: total", "cpus:1 of that is more than there is", "cpus:3 is kept back"}},
		{name: "limit below what is consumed", next: testQuota(t, "web", "cpus:2", "cpus:2"), refused: "Role 'web' is already consuming 'cpus:3; mem:512'"},
		{name: "forced limit", next: testQuota(t, "web", "", "cpus:2"), force: true, words: []string{
			"not without --force", "cpus:1 is consumed above the limit", "cpus:1 is offered above the limit",
		}},
		{name: "offers above a limit", next: testQuota(t, "web", "", "cpus:3.5"), words: []string{"cpus:0.5 is offered above the limit"}},
		{name: "guarantee above the limit", next: testQuota(t, "new", "cpus:2", "cpus:1"), force: true, refused: "is not contained within"},
		{name: "nested", next: testQuota(t, "web/shop", "cpus:1", ""), force: true, refused: "nested role 'web/shop'"},
		{name: "not listed", next: testQuota(t, "new", "cpus:1", ""), unlisted: true, force: true, refused: "'new' is not on the roles whitelist"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := tryQuota(test.next, quotas, testBooks(), !test.unlisted, test.force)
			if got.refused == nil != (test.refused == "") || got.refused != nil && !strings.Contains(got.refused.Message, test.refused) {
				t.Errorf("refused: %v, want %q", got.refused, test.refused)
			}
			var b bytes.Buffer
			if err := got.write(&b, false); err != nil {
				t.Fatal(err)
			}
			for _, want := range test.words {
				if !strings.Contains(b.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, &b)
				}
			}
			if test.refused == "" != strings.Contains(b.String(), "This is an estimate") {
				t.Errorf("got\n%s", &b)
			}
		})
	}
}

// TestQuotaTrialShown: what is, and what it changes to, for people and programs.
func TestQuotaTrialShown(t *testing.T) {
	quotas := []*quotapb.QuotaConfig{testQuota(t, "web", "cpus:2", "mem:1024")}
	got := tryQuota(testQuota(t, "web", "cpus:5", "cpus:0"), quotas, testBooks(), true, false)
	var b bytes.Buffer
	got.show(&b)
	want := "RESOURCE  CONSUMED  OFFERED  GUARANTEE  LIMIT     KEPT BACK\n" +
		"cpus      3         1        2 → 5      - → 0     1\n" +
		"mem       512       0        -          1024 → -  0\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
	b.Reset()
	if err := got.write(&b, true); err != nil {
		t.Fatal(err)
	}
	var answer trialAnswer
	if err := json.Unmarshal(b.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Refused == "" || answer.Next.Limits["cpus"] != 0 || answer.Now.Limits["mem"] != 1024 || answer.KeptBack["cpus"] != 1 || answer.Free["cpus"] != 1 {
		t.Errorf("got %s", &b)
	}
}

// TestQuotaFlags: what is wrong is said before any master is asked, with what would
// be right.
func TestQuotaFlags(t *testing.T) {
	for args, want := range map[string]string{
		"quota set":                              "accepts 1 arg(s)",
		"quota set web":                          "say what the role is to have",
		"quota set web --guarantee cpus4":        "--guarantee: Failed to parse 'cpus4'",
		"quota set web --limit cpus:1;cpus:2":    "duplicate names",
		"quota set web --limit cpus:[1-2]":       "in quotes",
		"quota set web --guarantee mem:1 --json": "--dry-run",
		"quota unset":                            "requires at least 1 arg",
		"quota unst":                             `unknown command "unst"`,
		"weights set":                            "requires at least 1 arg",
		"weights set web":                        `"web" is not a weight such as role=2.5`,
		"weights set web=0":                      `"web=0" is not a weight`,
		"weights set web=1 /=1":                  "Role '/' cannot start with a slash",
	} {
		root := Root()
		root.SetArgs(append(strings.Fields(args), "--master=127.0.0.1:1"))
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// TestIsListed: a master without --roles lets frameworks have any.
func TestIsListed(t *testing.T) {
	roles := func(value string) []*mesos.Flag {
		return []*mesos.Flag{{Name: new("ip"), Value: new("web")}, {Name: new("roles"), Value: &value}}
	}
	for value, want := range map[string][]string{"": {"web", "ops", "*"}, "ops": {"ops", "*"}, "ops,web": {"web", "ops", "*"}} {
		for _, name := range []string{"web", "ops", "*"} {
			if got := isListed(roles(value), name); got != slices.Contains(want, name) {
				t.Errorf("--roles=%s: %s is listed: %v", value, name, got)
			}
		}
	}
	if !isListed(nil, "web") {
		t.Error("without the flag not every role is listed")
	}
}

// TestWeightsTable: weights are shown as they were set.
func TestWeightsTable(t *testing.T) {
	var b bytes.Buffer
	showWeights(&b, &masterpb.Response_GetWeights{WeightInfos: []*mesos.WeightInfo{
		{Role: new("batch"), Weight: new(0.5)}, {Role: new("web"), Weight: new(2.0)},
	}})
	if want := "ROLE   WEIGHT\nbatch  0.5\nweb    2\n"; b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
}

package resources_test

import (
	"fmt"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/resources"
)

func Example() {
	agent := resources.MustParse("cpus:4;mem:8192;ports:[31000-32000]")
	task := resources.MustParse("cpus:1.5;mem:512;ports:[31000-31000]")
	if agent.Contains(task) {
		fmt.Println(agent.Sub(task))
	}
	// Output: cpus:2.5; mem:7680; ports:[31001-32000]
}

func ExampleParse() {
	all, err := resources.Parse("cpus(eng):2;mem:1024", "ops")
	fmt.Println(all, err)
	_, err = resources.Parse("cpus:many", "*")
	fmt.Println(err)
	// Output:
	// cpus(reservations: [(STATIC,eng)]):2; mem(reservations: [(STATIC,ops)]):1024 <nil>
	// Bad type for resource cpus value many type TEXT
}

func ExampleResources_AllocatableTo() {
	all := resources.MustParse("cpus:4;cpus(eng):2;cpus(ops):1")
	fmt.Println(all.AllocatableTo("eng/dev"))
	// Output: cpus:4; cpus(reservations: [(STATIC,eng)]):2
}

func ExampleResources_All() {
	for r := range resources.MustParse("mem:1024;cpus(eng):2").All() {
		fmt.Println(r.Name(), r.Role(), r.Amount())
	}
	// Output:
	// cpus eng 2
	// mem * 1024
}

func ExampleResources_PushReservation() {
	reserved, err := resources.MustParse("cpus:2").PushReservation(&mesos.Resource_ReservationInfo{
		Type:      mesos.Resource_ReservationInfo_DYNAMIC.Enum(),
		Role:      new("eng"),
		Principal: new("ops"),
	})
	fmt.Println(reserved, err)
	// Output: cpus(reservations: [(DYNAMIC,eng,ops)]):2 <nil>
}

func ExampleConversions() {
	conversions, err := resources.Conversions(&mesos.Offer_Operation{
		Type: mesos.Offer_Operation_UNRESERVE.Enum(),
		Unreserve: &mesos.Offer_Operation_Unreserve{Resources: []*mesos.Resource{{
			Name:   new("cpus"),
			Type:   mesos.Value_SCALAR.Enum(),
			Scalar: &mesos.Value_Scalar{Value: new(2.0)},
			Reservations: []*mesos.Resource_ReservationInfo{{
				Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(),
				Role: new("eng"),
			}},
		}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = resources.MustParse("cpus:4").Apply(conversions...)
	fmt.Println(err)
	// Output: cpus:4 does not contain cpus(reservations: [(DYNAMIC,eng)]):2
}

func ExampleQuantities() {
	guaranteed, _ := resources.ParseQuantities("cpus:10;mem:4096")
	used := resources.MustParse("cpus:4;mem:1024;ports:[1-10]").ScalarQuantities()
	fmt.Println(guaranteed.Sub(used))
	// Output: cpus:6; mem:3072
}

func ExampleResources_ShrinkTo() {
	free := resources.MustParse("cpus:8;mem:1024;ports:[1-10]")
	target, _ := resources.ParseQuantities("cpus:2;mem:4096")
	fmt.Println(free.ShrinkTo(target, nil))
	// Output: cpus:2; mem:1024
}

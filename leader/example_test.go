package leader_test

import (
	"context"
	"fmt"
	"log"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/leader"
	"github.com/meseta-project/meseta/scheduler"
)

// A framework that finds the leader in ZooKeeper, at first and whenever another leads.
func Example() {
	found, err := leader.New(leader.Config{Where: "zk://10.0.0.1:2181,10.0.0.2:2181/mesos"})
	if err != nil {
		log.Fatal(err)
	}
	framework, err := scheduler.New(scheduler.Config{Leader: found.Find, Framework: &mesos.FrameworkInfo{Name: new("example")}})
	if err != nil {
		log.Fatal(err)
	}
	for event, err := range framework.Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.GetType())
	}
}

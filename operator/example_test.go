package operator_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"os"

	"github.com/meseta-project/meseta/operator"
)

// Which agents are there?
func Example() {
	server := httptest.NewServer(replies{"GET_AGENTS": []byte(`{
		"type": "GET_AGENTS",
		"get_agents": {"agents": [{"agent_info": {"hostname": "node-1"}, "active": true, "version": "1.11.0"}]}
	}`)}) // stands for a master

	master, err := operator.NewMaster(operator.Config{Addresses: []string{server.URL}, JSON: true})
	if err != nil {
		log.Fatal(err)
	}
	agents, err := master.Agents(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, agent := range agents.GetAgents() {
		fmt.Println(agent.GetAgentInfo().GetHostname(), agent.GetActive())
	}
	server.Close()
	// Output:
	// node-1 true
}

// Copying a task's output until the task is over.
func ExampleFollow() {
	output := &growing{}
	output.add("hello\n")
	over := make(chan struct{})
	close(over) // when the task's last status has come

	path := operator.Sandbox("framework-id", "task-id") + "/stdout"
	if err := operator.Follow(context.Background(), reader{output}, path, os.Stdout, over); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello
}

// Package executor is for writing Mesos executors: programs that an agent
// starts to run the tasks of a framework. It speaks the v1 executor API
// (https://mesos.apache.org/documentation/latest/executor-http-api/).
//
// An executor is a loop over events:
//
//	cfg, err := executor.FromEnvironment()
//	…
//	e, err := executor.New(cfg)
//	…
//	for event, err := range e.Events(ctx) {
//		if err != nil {
//			return err
//		}
//		switch event.GetType() {
//		case executorpb.Event_LAUNCH:
//			// start event.GetLaunch().GetTask() and e.Update its status
//		case executorpb.Event_KILL:
//		case executorpb.Event_SHUTDOWN:
//			// end the tasks, e.Update their status, then e.Stop
//		}
//	}
//
// The loop lives through restarts of the agent if the framework checkpoints.
// Updates are kept until the agent has acknowledged them and are sent again
// after a reconnection, so none is lost.
package executor

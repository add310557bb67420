// Package scheduler is for writing Mesos frameworks: it subscribes a framework
// with the master, reads the events and makes the calls of the v1 scheduler API
// (https://mesos.apache.org/documentation/latest/scheduler-http-api/).
//
// A framework is a loop over events:
//
//	framework, err := scheduler.New(scheduler.Config{
//		Masters:   []string{"127.0.0.1:5050"},
//		Framework: &mesos.FrameworkInfo{Name: proto.String("example")},
//	})
//	…
//	for event, err := range framework.Events(ctx) {
//		if err != nil {
//			return err
//		}
//		switch event.GetType() {
//		case schedulerpb.Event_OFFERS:
//			// framework.Launch or framework.Decline
//		case schedulerpb.Event_UPDATE:
//			// event.GetUpdate().GetStatus()
//		}
//	}
//
// The loop lives through lost connections, restarted masters and changes of
// the leader. A SUBSCRIBED event tells of each new subscription: offers from
// before it are void, and what happened to tasks meanwhile is learned with
// [Client.Reconcile].
package scheduler

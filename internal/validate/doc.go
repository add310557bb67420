// Package validate refuses messages that are malformed or against a rule that
// can be seen in the message itself, or in the message and the few facts of a
// Framework and an Agent. Its functions change nothing, may be called at the
// same time, and return nil or a refusal.Invalid, whose text is Apache Mesos's:
// people and frameworks know them.
//
// Edges validate the form of calls before these reach a core (SchedulerCall,
// ExecutorCall, MasterCall, AgentCall, RegisterAgent, …); the master's core
// validates what a framework or an operator wants done (Task, TaskGroup,
// Operation). Messages are taken to have all their required fields.
package validate

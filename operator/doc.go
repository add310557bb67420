// Package operator is for writing tools: it makes the calls of the v1 operator
// API to masters and agents, reads their files and follows what happens in a
// cluster (https://mesos.apache.org/documentation/latest/operator-http-api/).
//
// What the API knows most by is here as methods; any other call goes through
// [Master.Call] and [Agent.Call].
package operator

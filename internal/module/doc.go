// Package module runs an allocation module: a program that was written against
// the package allocation/module, in a process of its own.
//
// Whatever the process does, who asks gets an answer or an error in bounded
// time: a process that has died, or does not answer in time, is ended for good,
// and the next question starts another one, with back-off.
package module

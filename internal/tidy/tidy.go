// Package tidy holds the tests that keep the repository in shape: which
// package may import which, how long files and functions may grow, what must
// be documented and what must not be left behind. They are policy: a rule
// changes in a commit of its own, with the reason in its message.
package tidy

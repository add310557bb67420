// Package resources is the algebra of what agents have, offers contain and
// tasks use.
package resources

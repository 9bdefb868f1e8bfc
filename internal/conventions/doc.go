// Package conventions holds the tests that keep the house in order: who may
// import whom, that every package says what it is for, where goroutines may
// start. It has no code of its own.
package conventions

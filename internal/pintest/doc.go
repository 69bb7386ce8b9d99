// Package pintest has a guest that is not trusted send whatever it likes, for the tests of
// what a pin lets pass, whichever backend keeps it.
package pintest

// Package process opens the process that a runtime says a guest is, so that
// every runtime's guests are found with the same care.
package process

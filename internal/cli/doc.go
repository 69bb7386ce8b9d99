// Package cli prints for people what the packages of pipework return as values.
package cli

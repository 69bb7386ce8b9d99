// Package onhost opens the host's network namespace for a short while.
package onhost

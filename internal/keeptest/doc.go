// Package keeptest has what the tests of packages keep and watch share.
package keeptest

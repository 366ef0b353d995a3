// Package scripttest plays the scripts of testdata/script.
package scripttest

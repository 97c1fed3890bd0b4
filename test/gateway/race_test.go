//go:build race

package gateway

// race: the program under test is built as the test is.
const race = true

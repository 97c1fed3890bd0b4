//go:build !race

package program

// race: the program under test is built as the test is.
const race = false

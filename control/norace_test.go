//go:build !race

package control_test

// race: the detector makes everything slower, so that what takes long is done with less.
const race = false

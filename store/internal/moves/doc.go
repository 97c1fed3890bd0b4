// Package moves tells whoever wants to know that assignments or cordons have changed (see store.Sharded). It says only that, and not how often: a listener that has not looked yet is told once.
package moves

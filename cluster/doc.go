// Package cluster divides the work of one database among the processes that run on it.
package cluster

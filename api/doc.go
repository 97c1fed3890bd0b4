// Package api serves a plane over HTTP.
package api

// Package legible lays out and bounds what people read: tables with aligned columns, and messages of others that are stored.
package legible

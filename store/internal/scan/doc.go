// Package scan is the part of reading a whole database that every engine does alike: what is read row by row is collected into batches, and each full one
// is given to the visitor.
package scan

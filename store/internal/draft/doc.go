// Package draft is the part of a commit that every engine does alike and without its database, on the goroutine of whoever commits: a transaction is
// checked for form and size, what the engine will fill in is copied, and what will be stored is encoded. What is left for the engine is to
// judge the draft against what is stored, and to write it.
//
// It also has the words for the verdicts that all engines give.
package draft

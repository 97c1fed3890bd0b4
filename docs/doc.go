// Package docs holds no code: its tests keep the documentation true. Code blocks are compared with the files they show, references are
// written from the definitions in the code, and links must lead somewhere.
//
//	go test ./docs            # is everything true?
//	go test ./docs -update    # write anew what is generated
package docs

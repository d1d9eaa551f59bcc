//go:build linux && gccgo

package nsenter

/*
#cgo pkg-config: nsexec
#include <nsexec.h>

// Runs before Go's runtime starts its threads, because setns(2) affects one thread only.
__attribute__((constructor)) void nsexec_nsenter_before_go(void)
{
	nsexec();
}
*/
import "C"

// Never is false. gccgo does not know that, and keeps the call.
var Never bool

func init() {
	// The object file would be left out of the program if nothing in Go needed it
	// (gcc bug 65134).
	if Never {
		C.nsexec_nsenter_before_go()
	}
}

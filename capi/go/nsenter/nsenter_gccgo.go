//go:build linux && gccgo

package nsenter

/*
#cgo pkg-config: nsexec
#include <nsexec.h>

// Before Go's runtime starts its threads: namespaces are those of one.
__attribute__((constructor)) void nsexec_nsenter_before_go(void)
{
	nsexec();
}
*/
import "C"

// Never is false. Only gccgo does not know.
var Never bool

func init() {
	// The object file would be left out of the program if nothing in Go needed it
	// (gcc bug 65134).
	if Never {
		C.nsexec_nsenter_before_go()
	}
}

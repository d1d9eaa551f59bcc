//go:build linux && cgo

package ceiling

/*
#cgo pkg-config: nsexec
#include <nsexec.h>

// Constructors without a number come after those with one, nsenter's among them.
__attribute__((constructor(101))) void nsexec_ceiling_before_nsenter(void)
{
	nsexec_set_ceiling();
}
*/
import "C"

import (
	// What it is for.
	_ "github.com/nsexec/nsexec/capi/go/nsenter"
)

// Never is false. Only gccgo does not know.
var Never bool

func init() {
	if Never {
		C.nsexec_ceiling_before_nsenter()
	}
}

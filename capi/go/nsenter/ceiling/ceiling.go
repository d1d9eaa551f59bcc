//go:build linux && cgo

package ceiling

/*
#cgo pkg-config: nsexec
#include <nsexec.h>

// Runs before the constructor of nsenter, which has no priority.
__attribute__((constructor(101))) void nsexec_ceiling_before_nsenter(void)
{
	nsexec_set_ceiling();
}
*/
import "C"

import (
	// The ceiling applies to this package.
	_ "github.com/nsexec/nsexec/capi/go/nsenter"
)

// Never is false. gccgo does not know that, and keeps the call.
var Never bool

func init() {
	if Never {
		C.nsexec_ceiling_before_nsenter()
	}
}
